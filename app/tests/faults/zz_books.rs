//! The shops of this run after all the others: tests begin in the order of their names, and this file's is the last. Each
//! is lent to one at a time, whole.
use crate::stage::Stage;

#[tokio::test]
async fn what_all_tests_left_behind_holds() {
    for stage in [Stage::Products, Stage::Others, Stage::Attacks] {
        if stage.was_used() {
            assert_eq!(stage.shop().await.audit(), [""; 0]);
        }
    }
}
