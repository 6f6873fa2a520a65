//! Accounts as the instance's admins see them: credits that are given, and what they are multiplied by.

use domain::credits::CardKind;
use domain::{AccountId, Decimal, NanoUsd, Timestamp};
use store::{CardRow, InstanceScope, NewCard, StoreError};

use crate::error::Problem;
use crate::frame::Call;
use crate::state::ControlState;

/// The most credits of one card: a million dollars.
const MAX_CARD_CREDITS: i64 = 100_000_000;
/// The longest reference of a card.
const MAX_REFERENCE_CHARS: usize = 200;
/// The most that an account's charges are multiplied by.
const MAX_RATE: i64 = 1_000;
/// A nano-USD is the seventh digit of a credit behind the point; a decimal has nine.
const BILLIONTHS_PER_NANO_USD: i64 = Decimal::ONE.billionths() / domain::money::NANOS_PER_CREDIT;

/// Credits that an admin gives.
#[derive(Debug, Clone)]
pub struct Gift {
    /// Where they come from.
    pub kind: CardKind,
    /// How many.
    pub credits: Decimal,
    /// When what is left of them lapses.
    pub expires_at: Option<Timestamp>,
    /// What they are for. A card with the same reference is given once.
    pub reference: Option<String>,
}

/// Gives credits to an account; false: they were given before under the same reference, and nothing changes.
///
/// # Errors
/// `invalid_request` with the field that breaks a rule; `not_found`; `conflict` when the reference was used for another
/// amount, kind or expiry.
pub async fn grant(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    account: AccountId,
    gift: Gift,
) -> Result<(CardRow, bool), Problem> {
    let card = NewCard {
        kind: gift.kind,
        amount: amount(gift.credits)?,
        expires_at: gift.expires_at,
        reference: gift.reference.map(|text| reference(&text)).transpose()?,
    };
    let note = call.note_on("credits.grant", account);
    let system = state.store.system();
    // A webhook that comes again may come after the card has lapsed; only a new one has to lie ahead.
    let lapsed = card.expires_at.is_some_and(|at| at <= call.now);
    let late = || Problem::field("expires_at", "expires_at must lie in the future");
    if lapsed && card.reference.is_none() {
        return Err(late());
    }
    let granted = system
        .grant_credits(scope, account, &card, &note, call.now)
        .await;
    match granted {
        // It repeats no earlier grant, so it would be a new one.
        Err(StoreError::Conflict(_)) if lapsed => Err(late()),
        granted => Ok(granted?),
    }
}

/// Sets what an account's charges are multiplied by.
///
/// # Errors
/// `invalid_request` for a rate above 1000; `not_found`.
pub async fn set_rate(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    account: AccountId,
    rate: Decimal,
) -> Result<(), Problem> {
    if rate.billionths() > MAX_RATE * Decimal::ONE.billionths() {
        let rule = "credit_rate must be a number from 0 to 1000";
        return Err(Problem::field("credit_rate", rule));
    }
    let note = call.note_on("account.set_rate", account);
    let system = state.store.system();
    Ok(system
        .set_rate(scope, account, rate, &note, call.now)
        .await?)
}

/// The amount of that many credits, which is exact.
fn amount(credits: Decimal) -> Result<NanoUsd, Problem> {
    let billionths = credits.billionths();
    let most = MAX_CARD_CREDITS * Decimal::ONE.billionths();
    if !(1..=most).contains(&billionths) || billionths % BILLIONTHS_PER_NANO_USD != 0 {
        let rule = "credits must be a number above 0 and up to 100000000, with at most seven digits behind the point";
        return Err(Problem::field("credits", rule));
    }
    Ok(NanoUsd::new(billionths / BILLIONTHS_PER_NANO_USD))
}

/// A reference as it is stored: visible text without blanks around it.
fn reference(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let fits = (1..=MAX_REFERENCE_CHARS).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        let rule = "reference must have 1 to 200 characters, none of them a control character";
        Err(Problem::field("reference", rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        let read = |text: &str| amount(text.parse().expect("a number")).ok();
        assert_eq!(read("250"), Some(NanoUsd::from_credits(250)));
        assert_eq!(read("0.0000001"), Some(NanoUsd::new(1)));
        assert_eq!(
            read("100000000"),
            Some(NanoUsd::from_credits(MAX_CARD_CREDITS))
        );
        for bad in ["0", "0.00000001", "1.00000005", "100000000.0000001"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn references_are_visible_and_short() {
        assert_eq!(reference(" inv-7 ").ok().as_deref(), Some("inv-7"));
        for bad in ["", "  ", "a\nb", &"x".repeat(MAX_REFERENCE_CHARS + 1)] {
            assert!(reference(bad).is_err(), "{bad:?}");
        }
    }
}
