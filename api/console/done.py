"""What a page says after an act. An address names it by a code, so that nobody can make a page say something else."""

from __future__ import annotations

DONE = {
    "signed-out": "You are signed out.",
    "signed-out-elsewhere": "Your session has ended. Sign in again.",
    "signed-out-others": "You are signed out everywhere else. Tokens that those sessions minted for you ended with them.",
    "session-ended": "The session has ended, with the tokens that it minted for you.",
    "session-ended-there": "The session has ended, with the tokens that it generated.",
    "password-changed": "Your password is changed, and all your other sessions have ended.",
    "token-revoked": "The token is revoked. Programs that use it are refused from now on.",
    "password-mailed": (
        "A new password by mail is asked for. Nothing changes until it is delivered; "
        "while the account is disabled, the mail waits."
    ),
    "password-set": "The password is set. Sessions and tokens of the account have ended.",
    "password-set-tokens-kept": "The password is set. Sessions of the account have ended; its tokens go on.",
    "change-required": "The password must be changed at the next login.",
    "disabled": "The account is disabled here. Its sessions and tokens have ended.",
    "enabled": "The administrators' switch is on again.",
    "unlocked": "Failed logins are forgotten: none of them makes the next login wait.",
    "mail-retried": "What failed is due again, as if for the first time.",
    "certificate-saved": "The certificate is saved.",
    "certificate-revoked": "The certificate is marked as revoked here. Revoke it at its authority as well.",
    "proposed": "Proposed: the branch is in the repository. Nothing changes until it is merged and applied.",
    "proposed-beside": "Proposed. The branch it is for moved since the preview, without any bearing on this.",
    "proposed-already": "This very change is proposed already. Here it is.",
    "withdrawn": "The proposal is withdrawn, and its branch is deleted.",
    "theme": "The theme is kept in this browser.",
}
