//! An account whose credits are all known: a fresh one, without monthly credits.

use domain::access::Action;
use domain::credits::{CardKind, Overuse};
use domain::plan::{Plan, PlanTerms};
use domain::{AccountId, NanoUsd, PlanId, RequestId, Timestamp};
use sqlx::{Connection, PgConnection, SqliteConnection};
use store::{
    CardRow, CreditsRow, InstanceScope, NewCard, NewHold, PageRequest, Reservation, StoreError,
    UsageFilter, UsageRow,
};

use crate::world::{NOW, Person, World};

/// What a new account has each month.
pub(crate) const INCLUDED: NanoUsd = NanoUsd::from_credits(250);

/// A person's credits, and the admin who gives them.
pub(crate) struct Purse {
    pub(crate) world: World,
    pub(crate) person: Person,
    pub(crate) admin: InstanceScope,
}

impl Purse {
    /// The first person's, without anything in it.
    pub(crate) async fn empty(world: &World) -> Self {
        let person = world.first().await;
        let admin = world.instance(&person).await;
        let purse = Self {
            world: world.clone(),
            person,
            admin,
        };
        purse.set_monthly(0, NOW).await;
        purse
    }

    /// As [`Purse::empty`], with one card of `amount` that never lapses.
    pub(crate) async fn with(world: &World, amount: i64) -> Self {
        let purse = Self::empty(world).await;
        purse.grant(amount, None).await;
        purse
    }

    pub(crate) fn account(&self) -> AccountId {
        self.person.account
    }

    /// Makes a plan with so many included credits, otherwise as the one that the account has.
    pub(crate) async fn plan(&self, monthly_credits: i64, now: Timestamp) -> PlanId {
        let system = self.world.store.system();
        let held = system.subscription(&self.admin, self.account()).await;
        let held = held.expect("has one");
        // Another one each time: to have the same again changes nothing.
        let id = match held.plan.as_str() {
            "one" => "another",
            _ => "one",
        };
        let plan = Plan {
            id: id.parse().expect("a plan id"),
            name: "A plan".to_owned(),
            rank: 0,
            terms: PlanTerms {
                monthly_credits,
                ..held.terms
            },
        };
        let note = self.world.note("plan.update");
        let put = system.put_plan(&self.admin, &plan, &note, now).await;
        put.expect("put");
        plan.id
    }

    pub(crate) async fn subscribe(&self, plan: &PlanId, now: Timestamp) {
        let note = self.world.note("account.subscribe");
        let system = self.world.store.system();
        let subscribed = system
            .subscribe(&self.admin, self.account(), plan, &note, now)
            .await;
        subscribed.expect("subscribed");
    }

    /// Begins a subscription with so much included each month, which need not be a whole number of credits.
    pub(crate) async fn set_monthly(&self, monthly: i64, now: Timestamp) {
        let plan = self.plan(0, now).await;
        self.subscribe(&plan, now).await;
        if monthly > 0 {
            let raise = format!(
                "UPDATE credit_accounts SET monthly = {monthly}, next_event_at = 0
                 WHERE account_id = {{account}} RETURNING monthly, next_event_at"
            );
            assert_eq!(self.pairs(&raise).await, [(monthly, 0)]);
            // Who looks first brings them.
            self.credits(now).await;
        }
    }

    pub(crate) async fn grant_card(
        &self,
        card: &NewCard,
        now: Timestamp,
    ) -> Result<(CardRow, bool), StoreError> {
        let note = self.world.note("credits.grant");
        self.world
            .store
            .system()
            .grant_credits(&self.admin, self.account(), card, &note, now)
            .await
    }

    /// Gives a card that lapses so many milliseconds after [`NOW`].
    pub(crate) async fn grant(&self, amount: i64, expires_in: Option<i64>) -> CardRow {
        let card = card(amount, expires_in.map(|millis| NOW.plus_millis(millis)));
        let (card, new) = self.grant_card(&card, NOW).await.expect("granted");
        assert!(new);
        card
    }

    pub(crate) async fn credits(&self, now: Timestamp) -> CreditsRow {
        let scope = self.world.account(&self.person).await;
        let within = self.world.store.within_account(&scope);
        within.credits(now).await.expect("reads")
    }

    /// What is available, reserved and owed.
    pub(crate) async fn balance(&self, now: Timestamp) -> (i64, i64, i64) {
        let credits = self.credits(now).await;
        (
            credits.available.nanos(),
            credits.reserved.nanos(),
            credits.debt.nanos(),
        )
    }

    /// The row of a call that was charged so much.
    pub(crate) fn row(&self, request: RequestId, charge: i64) -> UsageRow {
        UsageRow {
            request,
            at: NOW,
            account: self.person.account,
            workspace: self.person.workspace,
            api_key: self.world.id(),
            user: self.person.user,
            wire_format: "openai_chat".to_owned(),
            operation: "chat_completions".to_owned(),
            model_requested: "gpt-x".to_owned(),
            provider: Some("openai".parse().expect("a provider id")),
            model: Some("gpt-x".to_owned()),
            key_source: Some(domain::policy::KeySource::Managed),
            key: None,
            key_label: None,
            status: 200,
            error_code: None,
            streamed: false,
            usage: None,
            latency_ms: 1,
            first_byte_ms: None,
            request_bytes: 1,
            response_bytes: 1,
            upstream_status: Some(200),
            cost: Some(NanoUsd::new(charge)),
            pricing: Some(domain::price::Pricing::Priced),
            catalog_version: Some("1".to_owned()),
            charge: NanoUsd::new(charge),
            attempts: Vec::new(),
            fallback: false,
            key_scope: None,
            made: Vec::new(),
        }
    }

    /// A hold of a fresh call.
    pub(crate) fn hold(&self, amount: i64) -> NewHold {
        let request = self.world.id();
        NewHold {
            request,
            node: "node".to_owned(),
            amount: NanoUsd::new(amount),
            overuse: Overuse::Block,
            row: self.row(request, 0),
            interrupted: NanoUsd::new(amount),
            fallback_cap: None,
        }
    }

    pub(crate) async fn reserve(&self, hold: &NewHold, now: Timestamp) -> Reservation {
        let serving = self.world.store.serving();
        serving.reserve(hold, now).await.expect("asks")
    }

    /// Holds `amount` for a fresh call.
    pub(crate) async fn held(&self, amount: i64, overuse: Overuse) -> RequestId {
        let hold = NewHold {
            overuse,
            ..self.hold(amount)
        };
        assert_eq!(self.reserve(&hold, NOW).await, Reservation::Reserved);
        hold.request
    }

    pub(crate) async fn settle(&self, request: RequestId, charge: i64) {
        let row = self.row(request, charge);
        let serving = self.world.store.serving();
        serving.insert_usage(&[row]).await.expect("settled");
    }

    /// Nothing in the ledger disagrees.
    pub(crate) async fn is_sound(&self) {
        let findings = self.world.store.system().check_ledger().await;
        assert_eq!(findings.expect("checks"), Vec::<String>::new());
    }

    /// The usage rows of the person's workspace, all pages.
    pub(crate) async fn usage(&self) -> Vec<UsageRow> {
        let scope = self.world.scope(&self.person, Action::ReadUsage).await;
        let within = self.world.store.within(&scope);
        let mut page = PageRequest::default();
        let mut rows = Vec::new();
        loop {
            let read = within.usage(UsageFilter::default(), &page).await;
            let read = read.expect("lists");
            rows.extend(read.items);
            match read.next {
                Some(next) => page.after = Some(next),
                None => return rows,
            }
        }
    }

    /// A question past the store whose answer is rows of two numbers. `{account}` stands for the account's id.
    pub(crate) async fn pairs(&self, statement: &str) -> Vec<(i64, i64)> {
        let statement = statement.replace("{account}", &format!("'{}'", self.account()));
        let statement = sqlx::AssertSqlSafe(statement);
        let url = &*self.world.url;
        if self.world.is_sqlite() {
            let mut connection = SqliteConnection::connect(url).await.expect("connects");
            sqlx::query_as(statement).fetch_all(&mut connection).await
        } else {
            let mut connection = PgConnection::connect(url).await.expect("connects");
            sqlx::query_as(statement).fetch_all(&mut connection).await
        }
        .expect("rows")
    }
}

/// A card to be granted, without a reference.
pub(crate) fn card(amount: i64, expires_at: Option<Timestamp>) -> NewCard {
    NewCard {
        kind: CardKind::Grant,
        amount: NanoUsd::new(amount),
        expires_at,
        reference: None,
    }
}
