//! Names and e-mails that people type.

use crate::error::Problem;

/// The longest e-mail that is accepted (RFC 5321, section 4.5.3.1.3).
const MAX_EMAIL_BYTES: usize = 254;
/// The longest name of a workspace, account or API key.
const MAX_NAME_CHARS: usize = 100;

/// The one form in which an e-mail is stored and compared: without blanks around it, in lower case.
///
/// Only the shape is checked (one `@` with something on both sides, no blanks or control characters);
/// nothing is sent to it.
///
/// # Errors
/// `invalid_request` for field `email`.
pub fn email(text: &str) -> Result<String, Problem> {
    let email = text.trim().to_lowercase();
    let shape = email.len() <= MAX_EMAIL_BYTES
        && email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        })
        && !email
            .chars()
            .any(|char| char.is_whitespace() || char.is_control());
    if shape {
        Ok(email)
    } else {
        Err(Problem::field(
            "email",
            "email is an e-mail of at most 254 bytes",
        ))
    }
}

/// A name as it is stored: without blanks around it.
///
/// # Errors
/// `invalid_request` for field `name`: empty, longer than 100 characters, or with control characters or
/// marks that reorder text.
pub fn name(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
    if fits && !name.chars().any(hides) {
        Ok(name.to_owned())
    } else {
        let rule = "name must have 1 to 100 characters, none of them a control character";
        Err(Problem::field("name", rule))
    }
}

/// Whether a character could make a name look like another: controls, zero-width marks, bidirectional overrides.
pub fn hides(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_have_one_form() {
        // T90
        assert_eq!(
            email(" Ann@Example.TEST ").expect("fits"),
            "ann@example.test"
        );
        for bad in [
            "",
            "ann",
            "@x",
            "ann@",
            "a@b@c",
            "a b@c",
            "a\n@b",
            &format!("{}@x", "a".repeat(253)),
        ] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_hide_nothing() {
        // T77
        assert_eq!(name("  Team ü ").expect("fits"), "Team ü");
        for bad in [
            "",
            "  ",
            "a\u{1b}[31m",
            "a\nb",
            "a\u{202e}b",
            "a\u{61c}b",
            &"x".repeat(101),
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
