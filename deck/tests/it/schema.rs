//! The schemas of job files.

use serde_json::Value;

use crate::harness::Deck;

#[tokio::test]
async fn an_editor_gets_a_schema_and_keeps_it() {
    let deck = Deck::start().await;
    for path in ["/schema/prow-jobs.json", "/schema/jobs.json"] {
        let url = deck.url(path);
        let answer = deck.http.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/schema+json");
        assert!(header("cache-control").contains("max-age=3600"));
        let tag = header("etag");
        let schema: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(schema["properties"]["presubmits"].is_object(), "{path}");

        let again = deck.http.get(&url).header("if-none-match", &tag);
        assert_eq!(again.send().await.unwrap().status(), 304);
    }
}
