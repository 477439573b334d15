//! Which addresses are the same, and whom an address finds: docs/api.md, "When two addresses are one".

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, Server, at_once, query_string, user};

const USERS: &str = "/api/v2/users";

/// The ids of the users that an address finds.
pub async fn found(server: &Server, email: &str) -> Vec<i64> {
    let page = server.get(&format!("{USERS}?{}", query_string(&[("email", email)]))).answer().await.body(200);
    page["users"].as_array().expect("users").iter().map(id).collect()
}

pub fn id(user: &Value) -> i64 {
    user["id"].as_i64().expect("an id")
}

/// Realistic addresses in many scripts.
const ADDRESSES: &[&str] = &[
    "用户@例子.广告",
    "用戶@例子.台灣",
    "ユーザー@例え.テスト",
    "사용자@예시.한국",
    "उपयोगकर्ता@उदाहरण.भारत",
    "क्षत्रिय@डाटामेल.भारत",
    "व्यक्\u{200d}ति@example.in",
    "ব্যবহারকারী@উদাহরণ.বাংলা",
    "பயனர்@உதாரணம்.இந்தியா",
    "వాడుకరి@ఉదాహరణ.భారత్",
    "ಬಳಕೆದಾರ@ಉದಾಹರಣೆ.ಭಾರತ",
    "ഉപയോക്താവ്@ഉദാഹരണം.ഭാരതം",
    "ઉપયોગકર્તા@ઉદાહરણ.ભારત",
    "ਵਰਤੋਂਕਾਰ@ਉਦਾਹਰਣ.ਭਾਰਤ",
    "පරිශීලක@උදාහරණ.ලංකා",
    "ผู้ใช้@ตัวอย่าง.ไทย",
    "ຜູ້ໃຊ້@ຕົວຢ່າງ.ລາວ",
    "អ្នកប្រើ@ឧទាហរណ៍.com",
    "အသုံးပြုသူ@example.com",
    "مستخدم@مثال.إختبار",
    "کاربر@مثال.ایران",
    "می\u{200c}خواهم@example.ir",
    "صارف@مثال.پاکستان",
    "משתמש@דוגמה.קום",
    "χρήστης@παράδειγμα.ελ",
    "почта@пример.рф",
    "користувач@приклад.укр",
    "օգտատեր@օրինակ.հայ",
    "მომხმარებელი@მაგალითი.გე",
    "ተጠቃሚ@ምሳሌ.com",
    "josé@example.com",
    "nguye\u{302}\u{303}n@vi\u{ed}du.vn",
    "franc\u{327}oise@exemple.fr",
    "jürgen@müller.de",
    "mu\u{308}ller@mu\u{308}ller-gmbh.de",
    "øyvind@eksempel.no",
    "łukasz@przykład.pl",
    "ğizem@örnek.com.tr",
    "o'neil+tag@example.ie",
    "under_score@example.com",
    "a@r3---sn-apo3qvuoxuxbt-j5pe.example.com",
    "\"quoted name\"@example.com",
    "\"quoted name\"@münchen.example",
    "☕@coffee.example",
];

#[rstest]
#[tokio::test]
async fn people_of_all_scripts_are_taken_and_found(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for address in ADDRESSES {
        let created = app.create("Somebody", address).await;
        assert_eq!(created["email"], *address, "the address is stored as given");
        assert_eq!(found(&app, address).await, [id(&created)], "{address}");
        app.post(USERS, &user("Another", address)).answer().await.problem(409, "email_taken");
    }
}

#[rstest]
#[case::zero_width_space("ad\u{200b}min@example.com")]
#[case::right_to_left_override("ad\u{202e}min@example.com")]
#[case::no_break_space("ad\u{a0}min@example.com")]
#[case::soft_hyphen("ad\u{ad}min@example.com")]
#[case::joiner_where_nothing_joins("ad\u{200d}min@example.com")]
#[case::filler("ad\u{3164}min@example.com")]
#[case::byte_order_mark("\u{feff}admin@example.com")]
#[case::variation("☕\u{fe0f}@example.com")]
#[case::seen_nowhere_in_a_domain("admin@exam\u{200b}ple.com")]
#[case::question_mark("a@exam?ple.com")]
#[case::slash("a@exam/ple.com")]
#[case::exclamation_mark("a@exam!ple.com")]
#[case::number_sign("a@exam#ple.com")]
#[case::percent("a@exam%ple.com")]
#[case::underscore("a@exam_ple.com")]
#[case::hyphen_at_the_end("a@example-.com")]
#[case::no_a_label("a@xn--a.com")]
#[case::label_too_long("a@üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü.de")]
#[case::mark_without_a_letter("a@\u{301}x.com")]
#[case::only_stands_for_ascii("a@ｅxample.com")]
#[case::dot_that_is_none("a@example。com")]
#[tokio::test]
async fn what_hides_or_is_no_domain_is_refused(#[case] email: &str) {
    let app = App::start(Db::Sqlite).await;
    let answer = app.post(USERS, &user("Somebody", email)).answer().await;
    assert_eq!(answer.invalid_fields(), ["/email"]);
    assert_eq!(app.everyone().await, Vec::<Value>::new());
}

/// Pairs of spellings of one address.
const ONE: &[(&str, &str)] = &[
    ("John@Example.com", "jOHN@eXAMPLE.COM"),
    ("b@münchen.de", "b@xn--mnchen-3ya.de"),
    ("b@MÜNCHEN.de", "B@XN--MNCHEN-3YA.DE"),
    ("josé@example.com", "jose\u{301}@example.com"),
    ("ÉLODIE@example.fr", "e\u{301}lodie@example.fr"),
    ("почта@пример.рф", "ПОЧТА@xn--e1afmkfd.xn--p1ai"),
];

#[rstest]
#[tokio::test]
async fn two_ways_to_write_one_address_are_one_user(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    for (first, second) in ONE.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        let app = App::start(db).await;
        let created = app.create("Ann", first).await;
        let id = id(&created);
        for email in [first, second] {
            assert_eq!(found(&app, email).await, [id], "{first} by {email}");
            app.post(USERS, &user("Bob", email)).answer().await.problem(409, "email_taken");
        }
        let path = format!("{USERS}/{id}");
        // A user may change the spelling of its own address.
        let moved = app.patch(&path, &json!({ "email": second })).answer().await.body(200);
        assert_eq!(moved["email"], **second);
        assert_eq!(found(&app, first).await, [id]);
        let bob = app.create("Bob", "bob@example.org").await;
        let taking = app.patch(&format!("{USERS}/{}", bob["id"]), &json!({ "email": first }));
        taking.answer().await.problem(409, "email_taken");
        app.delete(&path).answer().await.empty(204);
        assert_eq!(found(&app, first).await, Vec::<i64>::new());
        app.create("Cy", second).await;
    }
}

/// Pairs of look-alikes. Neither may find the other's user.
const LOOK_ALIKES: &[(&str, &str)] = &[
    ("info@faß.de", "info@fass.de"),
    ("straße@example.de", "strasse@example.de"),
    ("ofﬁce@example.com", "office@example.com"),
    ("İnfo@example.com", "info@example.com"),
    ("ınfo@example.com", "info@example.com"),
    ("ſam@example.com", "sam@example.com"),
    ("νίκος@example.gr", "νίκοσ@example.gr"),
    ("аnna@example.com", "anna@example.com"),
    ("ϴ@example.gr", "θ@example.gr"),
    ("paypal@exаmple.com", "paypal@example.com"),
];

#[rstest]
#[tokio::test]
async fn nobody_answers_for_a_look_alike(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for (one, other) in LOOK_ALIKES.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        let created = app.create("Somebody", one).await;
        assert_eq!(found(&app, one).await, [id(&created)], "{one}");
        assert_eq!(found(&app, other).await, Vec::<i64>::new(), "{one} for {other}");
        app.delete(&format!("{USERS}/{}", created["id"])).answer().await.empty(204);
    }
}

/// Until the next release, two addresses that differ only by folding still exclude each other, because old replicas may
/// be running.
#[rstest]
#[tokio::test]
async fn for_this_release_what_folds_alike_still_clashes(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("Somebody", "info@faß.de").await;
    app.post(USERS, &user("Another", "info@fass.de")).answer().await.problem(409, "email_taken");
}

#[rstest]
#[tokio::test]
async fn of_all_who_want_one_address_at_once_one_gets_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for (one, other) in ONE {
        let create = async |client: usize| {
            let email = if client.is_multiple_of(2) { one } else { other };
            app.post(USERS, &user("Somebody", email)).answer().await.status
        };
        let statuses = at_once(16, create).await;
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 15, "{statuses:?}");
        let everyone = app.everyone().await;
        assert_eq!(everyone.len(), 1);
        app.delete(&format!("{USERS}/{}", everyone[0]["id"])).answer().await.empty(204);
    }
}

/// Of two users whose legacy keys are the same, each client gets the result of its own request.
#[rstest]
#[tokio::test]
async fn nobody_is_told_of_somebody_else(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for round in 0..20 {
        app.create("There", &format!("info@{round}.xn--fa-hia.de")).await;
        let create = async |client: usize| {
            let (name, email) = match client {
                0 => ("Sharp", format!("info@{round}.faß.de")),
                1 => ("Fass", format!("info@{round}.fass.de")),
                _ => ("Filler", format!("filler{round}.{client}@example.com")),
            };
            let answer = app.post(USERS, &user(name, &email)).answer().await;
            (name, email, answer)
        };
        for (name, email, answer) in at_once(6, create).await {
            if answer.status != 201 {
                answer.problem(409, "email_taken");
                continue;
            }
            let created = answer.json();
            assert_eq!((created["name"].as_str(), created["email"].as_str()), (Some(name), Some(&*email)));
            let path = format!("{USERS}/{}", created["id"]);
            assert_eq!(app.get(&path).answer().await.body(200), created);
            app.delete(&path).answer().await.empty(204);
        }
    }
}
