//! `/docs/`: Swagger UI without the internet.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Method;
use reqwest::header::ACCEPT_ENCODING;
use rstest::rstest;
use url::Url;

use crate::support::{Answered, App, Db};

/// The values of `src` and `href` in a page.
fn assets(html: &str) -> BTreeSet<String> {
    let attributes = ["src=\"", "href=\""].into_iter().flat_map(|attribute| html.split(attribute).skip(1));
    attributes.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_and_its_assets_come_from_here() {
    let app = App::start(Db::Sqlite).await;
    let page = app.get("/docs/").answer().await;
    assert!(page.expect(200).header("content-type").starts_with("text/html"));
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    let assets = assets(&page.text);
    assert!(assets.len() >= 3, "{assets:?}");
    for asset in assets {
        assert!(!asset.contains("//"), "{asset} has a foreign URL");
        let path = format!("/docs/{}", asset.trim_start_matches("./"));
        let answer = app.get(&path).answer().await;
        assert!(!answer.expect(200).text.is_empty(), "{path}");
    }
}

#[rstest]
#[case("gzip", true)]
#[case("deflate, gzip;q=0.8, br", true)]
#[case("br", false)]
#[case("gzip;q=0", false)]
#[case("identity", false)]
#[tokio::test]
async fn assets_are_compressed_for_those_who_take_that(#[case] accepted: &str, #[case] compressed: bool) {
    let app = App::start(Db::Sqlite).await;
    for path in ["/docs/", "/docs/swagger-ui-bundle.js", "/docs/favicon-16x16.png"] {
        let plain = app.get(path).send().await.unwrap().bytes().await.unwrap();
        let response = app.get(path).header(ACCEPT_ENCODING, accepted).send().await.unwrap();
        assert_eq!(response.headers()["vary"], "accept-encoding", "{path}");
        let encoding = response.headers().get("content-encoding").map(|encoding| encoding.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), compressed.then_some("gzip"), "{path}");
        let mut bytes = response.bytes().await.unwrap().to_vec();
        if compressed {
            let packed = std::mem::take(&mut bytes);
            GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        }
        assert!(bytes == plain, "{path} differs");
    }
}

#[tokio::test]
async fn what_was_left_out_is_not_there() {
    let app = App::start(Db::Sqlite).await;
    for path in ["/docs/swagger-ui.js", "/docs/swagger-ui-es-bundle.js"] {
        assert_eq!(app.get(path).answer().await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn it_shows_this_document() {
    let app = App::start(Db::Sqlite).await;
    let initializer = app.get("/docs/swagger-initializer.js").answer().await;
    assert!(initializer.expect(200).text.contains("/openapi.json"), "{}", initializer.text);
}

#[tokio::test]
async fn docs_leads_to_it() {
    let app = App::start(Db::Sqlite).await;
    let redirect = app.get("/docs").answer().await;
    assert!((300..400).contains(&redirect.status), "{redirect:?}");
    let here = Url::parse("http://localhost/docs").expect("a URL");
    assert_eq!(here.join(redirect.header("location")).expect("a location").path(), "/docs/");
}

#[tokio::test]
async fn it_is_for_reading() {
    let app = App::start(Db::Sqlite).await;
    let status = app.request(Method::POST, "/docs/").answer().await.status;
    assert!(matches!(status, 404 | 405), "{status}");
}
