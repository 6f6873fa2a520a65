//! What is inside a box of version 1: one form, for one place, for a short time.

use domain::{DeploymentId, ProviderId, Timestamp};

use super::boxed::{KEY_TEXT, good_json, padded, refused, sealed};
use super::support::{NOW, World, now, secret, workspace};
use crate::intake::MAX_BOX_CHARS;
use crate::seal::{BoxContext, SealError, seal_raw, seal_v1};
use crate::{IntakeError, IntakeRules, RawBox, Submission, box_v1};

#[test]
fn the_content_of_a_box_is_what_the_format_says() {
    let world = World::new();
    let text = seal_v1(
        &world.sealing_key.public_key,
        &secret(KEY_TEXT),
        &world.box_context(),
    );
    let by_hand = sealed(&world, &padded(&good_json(&world)));
    let hashes = [text.expect("a box"), by_hand].map(|text| {
        let accepted = world.submit(&text, RawBox::Refuse).expect("a good box");
        accepted.replay
    });
    // T24: two boxes with one number inside count as one submission.
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn nothing_is_sealed_that_the_server_would_not_look_at() {
    let world = World::new();
    let key = "k".repeat(4096);
    let seal = |base_url: &str| {
        let context = BoxContext {
            base_url,
            ..world.box_context()
        };
        seal_v1(&world.sealing_key.public_key, &secret(&key), &context)
    };
    let path = |len: usize| format!("https://example.com/{}", "a".repeat(len));
    let text = seal(&path(7000)).expect("fits");
    assert!(text.len() <= MAX_BOX_CHARS);
    assert_eq!(seal(&path(9000)), Err(SealError::TooLong));

    // T20: nor does the server look at a box that is good but for its size.
    let mut world = World::new();
    for (path_bytes, taken) in [(7000, true), (9000, false)] {
        world.context.base_url = path(path_bytes);
        let content = box_v1::write(key.as_bytes(), &world.box_context());
        let answer = world.submit(&sealed(&world, &content), RawBox::Refuse);
        assert_eq!(answer.is_ok(), taken, "{path_bytes}");
    }
}

// T22, T23
#[test]
fn a_box_that_was_made_for_something_else_is_refused() {
    let world = World::new();
    let other_provider: ProviderId = "anthropic".parse().expect("an id");
    let good = world.box_context();
    for (what, context) in [
        (
            "node",
            BoxContext {
                node: DeploymentId::from_bytes([9; 16]),
                ..good
            },
        ),
        (
            "workspace",
            BoxContext {
                owner: workspace(9),
                ..good
            },
        ),
        (
            "provider",
            BoxContext {
                provider: &other_provider,
                ..good
            },
        ),
        (
            "base_url",
            BoxContext {
                base_url: "https://evil.example/v1",
                ..good
            },
        ),
        (
            "base_url's end",
            BoxContext {
                base_url: "https://api.openai.com/v1/",
                ..good
            },
        ),
    ] {
        let text =
            seal_v1(&world.sealing_key.public_key, &secret(KEY_TEXT), &context).expect("a box");
        refused(&world, &text, what);
    }
    // T23, raw: the rules of a custom provider refuse it whatever is inside.
    let raw = seal_raw(&world.sealing_key.public_key, &secret(KEY_TEXT)).expect("a box");
    assert_eq!(
        world.submit(&raw, RawBox::Refuse).err(),
        Some(IntakeError::Refused)
    );
}

// T25
#[test]
fn a_box_lives_for_fifteen_minutes_around_its_own_time() {
    let world = World::new();
    let minutes = |minutes: i64| NOW.plus_millis(minutes * 60_000).millis() / 1000;
    let with = |iat: &str| {
        let json = good_json(&world);
        let iat_now = format!("\"iat\":{}", NOW.millis() / 1000);
        sealed(
            &world,
            &padded(&json.replace(&iat_now, &format!("\"iat\":{iat}"))),
        )
    };
    for iat in [
        minutes(-15),
        minutes(-14),
        minutes(0),
        minutes(14),
        minutes(15),
    ] {
        let answer = world.submit(&with(&iat.to_string()), RawBox::Refuse);
        assert!(answer.is_ok(), "{iat}");
    }
    let seconds = NOW.millis() / 1000;
    for iat in [
        (minutes(-15) - 1).to_string(),
        (minutes(15) + 1).to_string(),
        minutes(-16).to_string(),
        minutes(16).to_string(),
        "0".to_owned(),
        "-1".to_owned(),
        "-0".to_owned(),
        "253402300799".to_owned(),
        i64::MAX.to_string(),
        i64::MIN.to_string(),
        "9223372036854775808".to_owned(),
        format!("{seconds}.0"),
        format!("{seconds}e0"),
        format!("0{seconds}"),
        format!("\"{seconds}\""),
        "null".to_owned(),
        NOW.millis().to_string(),
    ] {
        refused(&world, &with(&iat), &iat);
    }
    // The server's clock at the ends of its range.
    let text = with(&seconds.to_string());
    for now_ms in [i64::MIN, 0, i64::MAX] {
        let submission = Submission {
            kek_id: &world.sealing_key.kek_id,
            ciphertext_b64: &text,
        };
        let rules = IntakeRules {
            now: Timestamp::from_millis(now_ms),
            raw_box: RawBox::Accept,
        };
        let answer = now(world.intake.accept(
            &world.sealing_key,
            &submission,
            &rules,
            &world.context,
            &world.data_key,
        ));
        assert_eq!(answer.err(), Some(IntakeError::Refused), "{now_ms}");
    }
}

#[test]
fn the_content_of_a_box_has_one_form() {
    let world = World::new();
    let good = good_json(&world);
    assert!(
        world
            .submit(&sealed(&world, &padded(&good)), RawBox::Refuse)
            .is_ok()
    );
    let jti = "07".repeat(16);
    for (what, json) in [
        ("blank", good.replace(",\"ws\"", ", \"ws\"")),
        ("order", {
            let provider = "\"provider\":\"openai\",";
            good.replace(provider, "")
                .replace("{\"v\":1,", &format!("{{{provider}\"v\":1,"))
        }),
        ("version 2", good.replace("\"v\":1", "\"v\":2")),
        ("version 0", good.replace("\"v\":1", "\"v\":0")),
        ("version text", good.replace("\"v\":1", "\"v\":\"1\"")),
        ("version float", good.replace("\"v\":1", "\"v\":1.0")),
        ("no version", good.replace("\"v\":1,", "")),
        ("missing", good.replace("\"provider\":\"openai\",", "")),
        ("unknown", good.replace("{\"v\":1", "{\"v\":1,\"x\":1")),
        ("twice", good.replace("{\"v\":1", "{\"v\":1,\"v\":1")),
        ("escape", good.replace("openai\",", "open\\u0061i\",")),
        ("escaped slash", good.replace("https://", "https:\\/\\/")),
        ("escaped key", good.replace("sk-proj", "sk\\u002dproj")),
        ("upper case jti", good.replace(&jti, &"0A".repeat(16))),
        ("short jti", good.replace(&jti, &"07".repeat(15))),
        ("long jti", good.replace(&jti, &"07".repeat(17))),
        ("not hex", good.replace(&jti, &"0g".repeat(16))),
        ("cut", good[..good.len() - 1].to_owned()),
        ("more behind", format!("{good}{{}}")),
        ("array", format!("{{\"a\":[{good}]}}")),
        ("brace only", "{".to_owned()),
        ("deep", "{\"a\":".repeat(500)),
    ] {
        assert_ne!(json, good, "{what}");
        refused(&world, &sealed(&world, &padded(&json)), what);
    }
    for (what, content) in [
        ("no padding", good.clone().into_bytes()),
        ("a step too much", {
            let mut content = padded(&good);
            content.resize(content.len() + 256, b' ');
            content
        }),
        ("line break", {
            let mut content = padded(&good);
            *content.last_mut().expect("padding") = b'\n';
            content
        }),
        ("zeros", {
            let mut content = padded(&good);
            *content.last_mut().expect("padding") = 0;
            content
        }),
        (
            "not UTF-8",
            padded(&good)
                .iter()
                .map(|b| if *b == b'W' { 0xff } else { *b })
                .collect(),
        ),
    ] {
        refused(&world, &sealed(&world, &content), what);
    }
}
