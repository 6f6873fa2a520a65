use super::*;

fn provider(id: &str) -> ProviderId {
    id.parse().expect("a provider id")
}

#[test]
fn defaults_spend_nothing_by_themselves_and_read_back() {
    let settings = Settings::default();
    assert_eq!(settings.new_workspace_mode(false), Mode::Byok);
    assert_eq!(settings.new_workspace_mode(true), Mode::Managed);
    assert_eq!(
        settings,
        serde_json::from_str("{}").expect("all have defaults")
    );
    let json = serde_json::to_string(&settings).expect("serializes");
    assert_eq!(settings, serde_json::from_str(&json).expect("reads back"));
    assert!(serde_json::from_str::<Settings>("{\"foo\":1}").is_err());
}

#[test]
fn a_new_workspace_never_gets_a_mode_that_is_not_offered() {
    let settings = Settings {
        modes: vec![Mode::Byok],
        new_workspace_mode: Some(Mode::Auto),
        ..Settings::default()
    };
    assert_eq!(settings.new_workspace_mode(true), Mode::Byok);
}

#[test]
fn a_mode_that_is_not_offered_counts_as_byok_or_as_none() {
    use Mode::{Auto, Byok, Managed};
    for (offered, expected) in [
        (
            &[Managed, Byok, Auto][..],
            [Some(Managed), Some(Byok), Some(Auto)],
        ),
        (&[Byok], [Some(Byok), Some(Byok), Some(Byok)]),
        (&[Managed], [Some(Managed), None, None]),
        (&[Auto, Managed], [Some(Managed), None, Some(Auto)]),
        (&[Auto, Byok], [Some(Byok), Some(Byok), Some(Auto)]),
        (&[], [None, None, None]),
    ] {
        let settings = Settings {
            modes: offered.to_vec(),
            ..Settings::default()
        };
        let counts = [Managed, Byok, Auto].map(|mode| settings.effective_mode(mode));
        assert_eq!(counts, expected, "{offered:?}");
    }
}

#[test]
fn a_provider_that_is_not_listed_follows_the_others() {
    let mut settings = Settings::default();
    settings.other_providers.enabled = false;
    let listed = ProviderSwitch {
        models: Some(vec![Glob::parse("gpt-*").expect("a pattern")]),
        ..ProviderSwitch::default()
    };
    settings.providers.insert(provider("openai"), listed);
    assert!(settings.switch(&provider("openai")).opens("gpt-4o"));
    assert!(!settings.switch(&provider("openai")).opens("o3"));
    assert!(!settings.switch(&provider("mistral")).opens("gpt-4o"));
}

#[test]
fn charges_follow_the_first_rule_that_fits_and_both_multipliers() {
    let any = || Glob::parse("*").expect("a pattern");
    let mut settings = Settings::default();
    let charge = |settings: &Settings, model: &str, operation: &str| {
        let cost = NanoUsd::new(1_000);
        settings.charge(&provider("openai"), model, operation, cost, Decimal::ONE)
    };
    assert_eq!(
        charge(&settings, "gpt-4o", "chat_completions").nanos(),
        1_000
    );
    settings.credit_ratios = vec![
        CreditRatio {
            provider: any(),
            model: any(),
            operation: Glob::parse("embeddings").expect("a pattern"),
            ratio: Decimal::ONE,
            credits_per_call: Some("0.5".parse().expect("a number")),
        },
        CreditRatio {
            provider: provider("openai").as_str().parse_glob(),
            model: any(),
            operation: any(),
            ratio: "1.5".parse().expect("a number"),
            credits_per_call: None,
        },
    ];
    assert_eq!(
        charge(&settings, "gpt-4o", "chat_completions").nanos(),
        1_500
    );
    assert_eq!(
        charge(&settings, "x", "embeddings"),
        NanoUsd::new(5_000_000)
    );
    settings.credit_factor = "2".parse().expect("a number");
    assert_eq!(
        charge(&settings, "gpt-4o", "chat_completions").nanos(),
        3_000
    );
    let rate = "1.2".parse().expect("a number");
    let cost = NanoUsd::new(1_000);
    let charged = settings.charge(&provider("openai"), "m", "chat", cost, rate);
    assert_eq!(charged.nanos(), 3_600);
}

trait ParseGlob {
    fn parse_glob(&self) -> Glob;
}

impl ParseGlob for str {
    fn parse_glob(&self) -> Glob {
        Glob::parse(self).expect("a pattern")
    }
}

#[test]
fn no_charge_exceeds_what_a_card_may_be_worth() {
    let settings = Settings {
        credit_factor: MAX_FACTOR,
        ..Settings::default()
    };
    let charge = |cost| settings.charge(&provider("openai"), "m", "chat", cost, MAX_FACTOR);
    assert_eq!(
        charge(NanoUsd::new(100_000_000_000)).nanos(),
        100_000_000_000_000_000
    );
    assert_eq!(charge(NanoUsd::new(100_000_000_001)), MAX_CREDITS);
    assert_eq!(charge(NanoUsd::MAX), MAX_CREDITS);
}
