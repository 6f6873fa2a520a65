//! Who may see what a provider key is called.

use domain::KeyScope;
use store::WorkspaceScope;

use crate::error::Problem;
use crate::state::ControlState;

/// Of which keys a caller may see the labels. Those of platform keys nobody sees in a workspace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LabelSight {
    /// The workspace's own, from the role on that the instance says.
    pub(crate) workspace: bool,
    /// The account's, which are its owner's business.
    pub(crate) account: bool,
}

impl LabelSight {
    /// What somebody sees who sees none.
    pub(crate) const NONE: Self = Self {
        workspace: false,
        account: false,
    };

    /// What this caller sees in a workspace.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn of(state: &ControlState, scope: &WorkspaceScope) -> Result<Self, Problem> {
        let settings = state.store.system().settings().await?;
        Ok(Self {
            workspace: scope.role() >= settings.mask_visible_to,
            account: state.store.within(scope).sees_account_labels().await?,
        })
    }

    /// Whether the label of such a key is shown. Of a key of which it is not known whose it was, to those who see both kinds.
    pub(crate) fn sees(self, scope: Option<KeyScope>) -> bool {
        match scope {
            Some(KeyScope::Workspace) => self.workspace,
            Some(KeyScope::Account) => self.account,
            Some(KeyScope::Instance) => false,
            None => self.workspace && self.account,
        }
    }

    /// Whether the label of the key that a run was made for is shown. Of one of which it is not known whose it was, to nobody.
    pub(crate) fn sees_pinned(self, owner: Option<KeyScope>) -> bool {
        owner.is_some() && self.sees(owner)
    }
}
