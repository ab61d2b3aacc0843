//! The traits of users over gRPC. The contract is `proto/`; here stands only which type is written as which message.
use users_api::{Account, AccountsError, PublicKey, UserId};

wire::include_proto!("cleave.users.v1");

wire::wire! {
    value () = KeysRequest {}
    value Vec<PublicKey> = KeysResponse { keys }
    struct PublicKey = PublicKey { id, key }

    value Vec<UserId> = AccountsRequest { ids }
    value Vec<Account> = AccountList { items }
    struct Account = Account { id, email, name }
    oneof AccountsError = AccountsError in accounts_error { TooMany {} }
}
