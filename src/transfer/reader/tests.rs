use super::*;
use crate::domain::{Assignment, Attributes, ExternalId, Profile, RawProfile, Status, User};
use crate::transfer::writer::tests::{file, user};

const HEADER: &str = "name,email\r\n";

/// Everything that a reader says of a file.
#[derive(Debug, PartialEq)]
struct Read {
    records: Vec<Record>,
    ending: Result<Ending, Broken>,
}

impl Read {
    /// The line, and the user's texts or the fault's code and pointer, of each record.
    fn told(&self) -> Vec<(u64, String)> {
        let told = |record: &Record| match &record.content {
            Ok(Content::User { name, email, .. }) => format!("{name} <{email}>"),
            Ok(Content::End { users }) => format!("end of {users}"),
            Err(Fault { code, pointer: Some(pointer), .. }) => format!("{code} {pointer}"),
            Err(Fault { code, .. }) => (*code).to_owned(),
        };
        self.records.iter().map(|record| (record.line, told(record))).collect()
    }

    /// The line, code and pointer of an error of the whole file.
    fn broken(&self) -> (u64, String) {
        let Broken { line, fault } = self.ending.clone().unwrap_err();
        (line, fault.code.to_owned() + &fault.pointer.unwrap_or_default())
    }
}

fn read_chunks<'a>(format: Format, chunks: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let (mut reader, mut records) = (Reader::new(format), Vec::new());
    for mut chunk in chunks {
        while let Some(record) = reader.next(&mut chunk) {
            records.push(record);
        }
        assert!(chunk.is_empty(), "the reader needs more, and has not looked at all");
        assert!(reader.records.bytes.capacity() <= 4 * MAX_RECORD);
    }
    let Finished { last, ending, .. } = reader.finish();
    records.extend(last);
    Read { records, ending }
}

/// Reads a file whole, byte by byte, and cut in two at every place: all must say the same.
fn read(format: Format, bytes: impl AsRef<[u8]>) -> Read {
    let bytes = bytes.as_ref();
    let whole = read_chunks(format, [bytes]);
    assert_eq!(read_chunks(format, bytes.chunks(1)), whole);
    for at in 0..=bytes.len() {
        let (before, after) = bytes.split_at(at);
        assert_eq!(read_chunks(format, [before, after]), whole, "cut at {at}");
    }
    whole
}

fn ndjson(text: impl AsRef<[u8]>) -> Vec<(u64, String)> {
    let read = read(Format::Ndjson, text);
    assert_eq!(read.ending, Ok(Ending::Unmarked));
    read.told()
}

/// The records of a file without the header, which this adds.
fn csv(text: impl AsRef<[u8]>) -> Vec<(u64, String)> {
    let read = read(Format::Csv, [HEADER.as_bytes(), text.as_ref()].concat());
    assert_eq!(read.ending, Ok(Ending::Unmarked));
    read.told()
}

fn told(records: &[(u64, &str)]) -> Vec<(u64, String)> {
    records.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
}

#[test]
fn an_export_goes_in_again() {
    let texts = ["Ada", "Ada, \"A\"", "=1+1", "'=1", "'t Hooft", "a;=b", "é \u{feff}", "𝄞", " -x", "\\", "＝1"];
    let users = Vec::from_iter(texts.iter().zip(1..).map(|(text, id)| user(id, text, &format!("{text}@example.com"))));
    for format in Format::ALL {
        let bytes = file(format, &users);
        let Read { mut records, ending } = read(format, &bytes);
        assert_eq!(ending, Ok(Ending::Marked));
        assert_eq!(records.pop().unwrap().content, Ok(Content::End { users: 11 }));
        let contents = records.iter().map(|record| record.content.clone().unwrap());
        let expected = texts.map(|text| {
            let (name, email) = (text.to_owned(), format!("{text}@example.com"));
            Content::User { name, email, profile: nothing() }
        });
        assert!(contents.eq(expected));
        let raw = records.iter().map(|record| record.raw.clone()).collect::<Vec<_>>();
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let header = usize::from(format == Format::Csv);
        assert!(lines.skip(header).take(texts.len()).eq(raw.iter().map(Vec::as_slice)));
    }
}

/// What an export says of a user with the default profile. On import it removes what the user has instead.
fn nothing() -> RawProfile {
    RawProfile {
        external_id: Assignment::Remove,
        status: Some("active".to_owned()),
        attributes: Assignment::Remove,
        ..RawProfile::default()
    }
}

#[test]
fn profiles_go_in_again() {
    for text in ["x-1", "=1", "a,\"b\"", " é "] {
        let attributes = r#"{"a,b":"say \"hi\"","n":1.10}"#;
        let profile = Profile {
            external_id: Some(ExternalId::stored(text.to_owned())),
            status: Status::Disabled,
            attributes: Attributes::stored(attributes.to_owned()),
        };
        let exported = User { profile: profile.shared(), ..user(1, "Ada", "ada@example.com") };
        let expected = RawProfile {
            external_id: Assignment::Set(text.to_owned()),
            status: Some("disabled".to_owned()),
            attributes: Assignment::Set(attributes.to_owned()),
            ..RawProfile::default()
        };
        for format in Format::ALL {
            let Read { records, .. } = read(format, file(format, std::slice::from_ref(&exported)));
            let Ok(Content::User { profile, .. }) = &records[0].content else { panic!("{records:?}") };
            assert_eq!(*profile, expected);
        }
    }
}

#[test]
fn what_a_file_lacks_stays_as_it_is() {
    let profiles = |format, text: &str| {
        let contents = read(format, text).records.into_iter().map(|record| record.content);
        Vec::from_iter(contents.map(|content| match content {
            Ok(Content::User { profile, .. }) => Ok(profile),
            Ok(Content::End { .. }) => panic!("it has no end"),
            Err(fault) => Err(fault.code),
        }))
    };
    let disabled = RawProfile { status: Some("disabled".into()), ..RawProfile::default() };
    let removed = RawProfile { external_id: Assignment::Remove, ..RawProfile::default() };
    assert_eq!(
        profiles(Format::Csv, "name,email,status,external_id\na,b@c.de,disabled,\na,b@c.de,,x\n"),
        [
            Ok(RawProfile { external_id: Assignment::Remove, ..disabled.clone() }),
            Ok(RawProfile {
                external_id: Assignment::Set("x".into()),
                status: Some("active".into()),
                ..RawProfile::default()
            }),
        ]
    );
    let user = r#""name":"a","email":"b@c.de""#;
    let lines = ["", r#","status":"disabled""#, r#","external_id":null"#, r#","external_id":1"#, r#","status":true"#];
    let lines = lines.map(|more| format!("{{{user}{more}}}\n")).concat();
    let expected = [Ok(RawProfile::default()), Ok(disabled), Ok(removed), Err("not_text"), Err("not_text")];
    assert_eq!(profiles(Format::Ndjson, &lines), expected);
}

#[test]
fn the_export_of_an_earlier_release_has_an_end() {
    let ndjson = concat!(
        r#"{"id":1,"name":"a","email":"b@c.de","version":1,"created_at":"","updated_at":""}"#,
        "\n{\"end\":{\"users\":1}}\n"
    );
    let csv = "id,name,email,version,created_at,updated_at\r\n1,a,b@c.de,1,,\r\nend,1,,,,\r\n";
    for (format, text) in [(Format::Ndjson, ndjson), (Format::Csv, csv)] {
        let whole = read(format, text);
        assert_eq!(whole.ending, Ok(Ending::Marked));
        let Ok(Content::User { profile, .. }) = &whole.records[0].content else { panic!("{whole:?}") };
        assert_eq!(*profile, RawProfile::default());
        let cut = text.rsplit_once("end").unwrap().0;
        let cut = cut.rsplit_once('\n').unwrap().0;
        assert_eq!(read(format, cut).broken().1, "cut_short");
    }
}

#[test]
fn an_export_that_was_cut_is_not_whole() {
    for format in Format::ALL {
        let bytes = file(format, &[user(1, "Ada", "ada@example.com"), user(2, "Bo", "bo@example.com")]);
        let (all_but_line_end, first_line) =
            (bytes.trim_ascii_end().len(), bytes.iter().position(|byte| *byte == b'\n'));
        for length in first_line.unwrap() + 1..all_but_line_end {
            let ending = read_chunks(format, [&bytes[..length]]).ending;
            assert!(ending.is_err(), "{length} of {}: {ending:?}", bytes.len());
        }
        assert_eq!(read_chunks(format, [&bytes[..all_but_line_end]]).ending, Ok(Ending::Marked));
    }
}

#[test]
fn files_made_by_hand_have_no_end() {
    let ada = (1, "Ada <a@b.co>");
    for end in ["", "\n", "\r\n", "\n\n \r\n"] {
        assert_eq!(ndjson(format!("{{\"email\":\"a@b.co\",\"name\":\"Ada\"}}{end}")), told(&[ada]), "{end:?}");
    }
    for end in ["", "\n", "\r\n", "\n\n\r\n"] {
        assert_eq!(csv(format!("Ada,a@b.co{end}")), told(&[(2, ada.1)]), "{end:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_file() {
    let lines = "\u{feff}{\"name\":\"Ada\",\"email\":\"a@b.co\"}\r\n{\"name\":\"Bo\",\"email\":\"b@b.co\"}";
    assert_eq!(ndjson(lines), told(&[(1, "Ada <a@b.co>"), (2, "Bo <b@b.co>")]));
    let read_csv = |text: &str| read(Format::Csv, text).told();
    assert_eq!(read_csv("\u{feff}name,email\nAda,a@b.co\n"), told(&[(2, "Ada <a@b.co>")]));
    assert_eq!(read_csv("\u{feff}\"name\",\"email\"\nAda,a@b.co\n"), told(&[(2, "Ada <a@b.co>")]));
    assert_eq!(read(Format::Csv, "\u{feff}").broken(), (1, "missing_header".to_owned()));
    assert_eq!(ndjson("\u{feff}"), []);
    for part in [&b"\xef"[..], b"\xef\xbb", b"\xef\xbb\x22"] {
        assert_eq!(ndjson(part), told(&[(1, "not_utf8")]), "{part:?}");
        assert_eq!(
            read(Format::Csv, part).broken(),
            (1, if part.len() > 2 { "stray_quote" } else { "not_utf8" }.to_owned())
        );
    }
}

#[test]
fn empty_lines_are_skipped_and_counted() {
    let ada = "{\"name\":\"Ada\",\"email\":\"a@b.co\"}";
    assert_eq!(ndjson(format!("\n \t\r\n{ada}\n\r\n\n{ada}")), told(&[(3, "Ada <a@b.co>"), (6, "Ada <a@b.co>")]));
    assert_eq!(csv("\r\n\nAda,a@b.co\n\r\nBo,b@b.co"), told(&[(4, "Ada <a@b.co>"), (6, "Bo <b@b.co>")]));
    let before_header = read(Format::Csv, "\r\n\nname,email\nAda,a@b.co");
    assert_eq!(before_header.told(), told(&[(4, "Ada <a@b.co>")]));
}

#[test]
fn an_empty_file_has_no_users_and_in_csv_no_header() {
    assert_eq!(ndjson(""), []);
    assert_eq!(ndjson("\n\n"), []);
    assert_eq!(csv(""), []);
    for text in ["", "\r\n\r\n"] {
        assert_eq!(read(Format::Csv, text).broken().1, "missing_header");
    }
}

#[test]
fn an_ndjson_line_is_an_object_with_two_texts() {
    let good = "{\"name\":\"Ada\",\"email\":\"a@b.co\"}";
    for (line, fault) in [
        ("{\"name\":1,\"email\":\"a@b.co\"}", "not_text /name"),
        ("{\"name\":\"Ada\",\"email\":null}", "not_text /email"),
        ("{\"name\":\"Ada\",\"email\":[\"a@b.co\"]}", "not_text /email"),
        ("{\"name\":\"Ada\"}", "missing_field /email"),
        ("{}", "missing_field /name"),
        ("{\"name\":\"Ada\",\"email\":\"a@b.co\",\"age\":36}", "unknown_field /age"),
        ("{\"name\":\"Ada\",\"email\":\"a@b.co\",\"a/b~\":36}", "unknown_field /a~1b~0"),
        ("{\"name\":\"Ada\",\"name\":\"Bo\",\"email\":\"a@b.co\"}", "repeated_field /name"),
        ("{\"id\":1,\"id\":2,\"name\":\"Ada\",\"email\":\"a@b.co\"}", "repeated_field /id"),
        ("{\"end\":{\"users\":0},\"name\":\"Ada\"}", "unknown_field /end"),
        ("{\"name\":\"A\\u0000\",\"email\":\"a@b.co\"}", "nul /name"),
        ("{\"name\":\"A\0\",\"email\":\"a@b.co\"}", "nul"),
        ("{\"name\":\"A\\ud800\",\"email\":\"a@b.co\"}", "malformed_json"),
        ("{\"name\":\"Ada\",\"email\":\"a@b.co\"", "malformed_json"),
        ("{\"name\":\"Ada\",\"email\":\"a@b.co\"}{}", "malformed_json"),
        ("Ada", "malformed_json"),
        ("[]", "not_an_object"),
        ("\"Ada\"", "not_an_object"),
        ("null", "not_an_object"),
    ] {
        assert_eq!(ndjson(format!("{line}\n{good}\n")), told(&[(1, fault), (2, "Ada <a@b.co>")]), "{line}");
    }
    let ignored = "{\"id\":\"x\",\"version\":null,\"created_at\":[],\"name\":\"Ada\",\"email\":\"a@b.co\"}";
    assert_eq!(ndjson(ignored), told(&[(1, "Ada <a@b.co>")]));
    assert_eq!(
        ndjson([b"{\"name\":\"\xff\"}\n", good.as_bytes()].concat()),
        told(&[(1, "not_utf8"), (2, "Ada <a@b.co>")])
    );
    // Deeper than anybody needs.
    assert_eq!(ndjson(format!("{{\"id\":{}", "[".repeat(1000))), told(&[(1, "malformed_json")]));
}

#[test]
fn a_csv_record_has_as_many_fields_as_the_header() {
    for (record, fault) in [
        ("Ada", "too_few_fields"),
        ("Ada,a@b.co,", "too_many_fields"),
        ("Ada,a@b.co,1,2,3,4,5,6,7,8", "too_many_fields"),
        (&*",".repeat(100), "too_many_fields"),
        ("A\0,a@b.co", "nul /name"),
        ("Ada,\0", "nul /email"),
    ] {
        assert_eq!(csv(format!("{record}\r\nBo,b@b.co")), told(&[(2, fault), (3, "Bo <b@b.co>")]), "{record:?}");
    }
    assert_eq!(csv(b"\xff,a@b.co\nBo,b@b.co"), told(&[(2, "not_utf8"), (3, "Bo <b@b.co>")]));
    assert_eq!(csv(","), told(&[(2, " <>")]));
    // A CR is an end only before LF.
    assert_eq!(csv("A\rda,a@b.co\r"), told(&[(2, "A\rda <a@b.co>")]));
}

#[test]
fn csv_fields_may_be_quoted() {
    assert_eq!(csv("\"Ada\",\"a@b.co\"\r\n"), told(&[(2, "Ada <a@b.co>")]));
    assert_eq!(csv("\"A, \"\"B\"\"\",\"\"\n"), told(&[(2, "A, \"B\" <>")]));
    assert_eq!(csv("\"A\r\nB\n\",a@b.co\nBo,b@b.co"), told(&[(2, "A\r\nB\n <a@b.co>"), (5, "Bo <b@b.co>")]));
    assert_eq!(csv("\"\"\"\"\"\",\"\""), told(&[(2, "\"\" <>")]));
}

#[test]
fn a_quote_out_of_place_is_an_error_of_its_line() {
    let after = [(3, "Bo <b@b.co>")];
    for record in ["A\"da,a@b.co", "\"Ada\"x,a@b.co", "\"Ada\" ,a@b.co", "\"Ada\"\rx,a@b.co", "\"Ada\"\r,a@b.co"] {
        assert_eq!(
            csv(format!("{record}\nBo,b@b.co")),
            told(&[&[(2, "stray_quote")][..], &after].concat()),
            "{record:?}"
        );
    }
    // Found in the next line that has quotes, behind which reading goes on.
    let open = "\"Ada,a@b.co\n\"Bo\",b@b.co\nCy,c@b.co\n";
    assert_eq!(csv(open), told(&[(2, "stray_quote"), (4, "Cy <c@b.co>")]));
    assert_eq!(csv("Ada,\"a@b.co\nBo,b@b.co\n"), told(&[(2, "open_quote")]));
    assert_eq!(csv("\""), told(&[(2, "open_quote")]));
}

#[test]
fn a_csv_header_names_each_column_once() {
    for (header, fault) in [
        ("name,email,age", "unknown_column/age"),
        ("Name,email", "unknown_column/Name"),
        ("name,email,", "unknown_column/"),
        ("name,email,id,version,created_at,updated_at,x", "unknown_column/x"),
        ("name,email,name", "repeated_column/name"),
        ("name,email,id,id", "repeated_column/id"),
        ("name", "missing_column/email"),
        ("id,email", "missing_column/name"),
        ("na\"me,email", "stray_quote"),
        ("name;email", "unknown_column/name;email"),
    ] {
        let read = read(Format::Csv, format!("\n{header}\nAda,a@b.co\n"));
        assert_eq!((read.broken(), read.told()), ((2, fault.to_owned()), vec![]), "{header}");
    }
    let read = read(Format::Csv, "email,version,name\na@b.co,x,Ada\n");
    assert_eq!(read.told(), told(&[(2, "Ada <a@b.co>")]));
}

#[test]
fn an_end_says_how_many_there_were() {
    let good = "{\"name\":\"Ada\",\"email\":\"a@b.co\"}\nnonsense\n";
    let end = |text: &str| read(Format::Ndjson, format!("{good}{text}"));
    let marked = end("{\"end\":{\"users\":2}}\n\n \n");
    assert_eq!(marked.ending, Ok(Ending::Marked));
    assert_eq!(marked.told(), told(&[(1, "Ada <a@b.co>"), (2, "malformed_json"), (3, "end of 2")]));
    for (text, fault) in [
        ("{\"end\":{\"users\":1}}", (3, "wrong_count")),
        ("{\"end\":{\"users\":2}}\n{}", (4, "after_end")),
        ("{\"end\":{\"users\":2}}\n{\"end\":{\"users\":2}}", (4, "after_end")),
        ("{\"end\":2}", (3, "malformed_end")),
        ("{\"end\":{\"users\":-2}}", (3, "malformed_end")),
        ("{\"end\":{\"users\":2,\"more\":1}}", (3, "malformed_end")),
        ("{\"end\":{}}\n", (3, "malformed_end")),
    ] {
        assert_eq!(end(text).broken(), (fault.0, fault.1.to_owned()), "{text}");
    }
    let end = |text: &str| read(Format::Csv, format!("id,name,email\n1,Ada,a@b.co\n{text}"));
    let marked = end("end,1,\r\n\r\n");
    assert_eq!(
        (marked.ending.clone(), marked.told()),
        (Ok(Ending::Marked), told(&[(2, "Ada <a@b.co>"), (3, "end of 1")]))
    );
    for (text, fault) in [
        ("end,2,", (3, "wrong_count")),
        ("end,1,\n2,Bo,b@b.co\n", (4, "after_end")),
        ("end,,", (3, "malformed_end")),
        ("end,+1,", (3, "malformed_end")),
        ("end,1,b@b.co", (3, "malformed_end")),
    ] {
        assert_eq!(end(text).broken(), (fault.0, fault.1.to_owned()), "{text}");
    }
    // Without a column for ids nothing can be an end.
    assert_eq!(csv("end,1"), told(&[(2, "end <1>")]));
}

/// Cut in a few places only: there are many.
fn read_long(format: Format, bytes: &[u8]) -> Read {
    let whole = read_chunks(format, [bytes]);
    for size in [1, 3, 4096, MAX_RECORD - 1, MAX_RECORD, MAX_RECORD + 1] {
        assert_eq!(read_chunks(format, bytes.chunks(size)), whole, "cut into chunks of {size}");
    }
    whole
}

#[test]
fn a_record_has_at_most_64_kib() {
    for end in ["", "\n", "\r\n"] {
        for (length, fault) in
            [(MAX_RECORD, "missing_field /name"), (MAX_RECORD + 1, "too_long"), (3 * MAX_RECORD, "too_long")]
        {
            let line = format!("{}{{}}", " ".repeat(length - 2));
            let read = read_long(Format::Ndjson, format!("{line}{end}").as_bytes());
            assert_eq!(read.told(), told(&[(1, fault)]), "{length} {end:?}");
            assert_eq!(read.records[0].raw.len(), length.min(MAX_RECORD));
        }
        for (length, is_read) in [(MAX_RECORD, true), (MAX_RECORD + 1, false), (3 * MAX_RECORD, false)] {
            let name = "x".repeat(length - 1);
            let text = format!("{HEADER}{name},{end}{}", if end.is_empty() { "" } else { "Bo,b@b.co" });
            let read = read_long(Format::Csv, text.as_bytes());
            let first = if is_read { format!("{name} <>") } else { "too_long".to_owned() };
            assert!(read.told()[0] == (2, first), "{length} {end:?}");
            assert!(end.is_empty() || read.told()[1..] == told(&[(3, "Bo <b@b.co>")]));
        }
    }
}

#[test]
fn an_open_quote_takes_no_more_than_a_record() {
    let (rows, row) = (20_000, "Bo,b@b.co\r\n");
    let text = format!("{HEADER}Ada,\"a@b.co\r\n{}", row.repeat(rows));
    let read = read_long(Format::Csv, text.as_bytes());
    let told = read.told();
    assert_eq!(told[0], (2, "open_quote".to_owned()));
    let lost = rows - (told.len() - 1);
    assert!(lost <= MAX_RECORD / row.len() + 1, "{lost} rows were lost");
    assert_eq!(told.last().unwrap(), &(rows as u64 + 2, "Bo <b@b.co>".to_owned()));
}
