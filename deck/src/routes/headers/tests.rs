use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use common::config::Config;
use http::Method;
use serde_json::json;
use tokio::sync::watch;
use tower::ServiceExt;

use super::super::{add_layers, route_table};
use super::*;
use crate::settings::CurrentSettings;

const RUN: &str = "/artifact/gs/b/logs/unit/7/";

fn hosts(config: Config) -> Arc<AllowedHosts> {
    let (_sender, receiver) = watch::channel(Arc::new(config));
    Arc::new(AllowedHosts {
        loopback: true,
        allowed: Vec::new(),
        present: Arc::new(CurrentSettings::new(receiver)),
    })
}

/// Answers with the status in the request's header `wanted`; 0 is a panic.
async fn answer(request: Request) -> Response {
    let wanted: u16 = request.headers()["wanted"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_ne!(wanted, 0, "as asked for");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(wanted).unwrap();
    let headers = response.headers_mut();
    let kind = request.headers().get("kind").cloned();
    headers.insert(
        header::CONTENT_TYPE,
        kind.unwrap_or("text/html".parse().unwrap()),
    );
    // These headers of a handler must not count.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        "script-src *".parse().unwrap(),
    );
    headers.insert(RESOURCE_POLICY, "cross-origin".parse().unwrap());
    response
        .extensions_mut()
        .insert(RunFolderPath(RUN.to_owned()));
    response
}

async fn ask(router: &Router, method: &str, path: &str, extra: &[(&str, &str)]) -> Response {
    let mut request = http::Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header(header::HOST, "localhost:8080");
    for (name, value) in extra {
        request = request.header(*name, *value);
    }
    router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

/// The route table with other handlers, so that each route gives every status.
fn router(hosts: &Arc<AllowedHosts>) -> Router {
    let router = route_table::list_routes().fold(Router::new(), |router, route| {
        router.route(route.path, any(answer))
    });
    add_layers(router, hosts)
}

/// A path that the route matches.
fn path(route: &str) -> String {
    route
        .replace("{*path}", "a/b")
        .replace("{*key}", "a/b")
        .replace("{name}", "x")
}

const STATUSES: [u16; 17] = [
    200, 201, 206, 304, 307, 400, 401, 403, 404, 408, 412, 413, 416, 501, 502, 503, 507,
];

#[tokio::test]
async fn every_route_wears_its_headers_at_every_status() {
    let router = router(&hosts(Config::default()));
    for route in route_table::list_routes() {
        for status in STATUSES.into_iter().chain([0]) {
            let answer = ask(
                &router,
                "GET",
                &path(route.path),
                &[("wanted", &status.to_string())],
            )
            .await;
            let expected = if status == 0 { 500 } else { status };
            assert_eq!(answer.status().as_u16(), expected, "{}", route.path);
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            let what = format!("{} {status}", route.path);
            assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
            assert_eq!(header("referrer-policy"), "same-origin", "{what}");
            let policy = header("content-security-policy");
            assert_eq!(
                answer
                    .headers()
                    .get_all("content-security-policy")
                    .iter()
                    .count(),
                1,
                "{what}"
            );
            assert!(policy.contains("default-src 'none'; "), "{what}: {policy}");
            assert!(
                policy.contains("base-uri 'none'; frame-ancestors 'none'"),
                "{what}: {policy}"
            );
            let scripts = policy
                .split("; ")
                .find(|part| part.starts_with("script-src"));
            let resource_policy = header("cross-origin-resource-policy");
            match route.dress {
                SecurityPolicy::Page => {
                    assert_eq!(
                        scripts,
                        Some("script-src http://localhost:8080/static/"),
                        "{what}"
                    );
                    assert_eq!(resource_policy, "same-origin", "{what}");
                }
                dress => {
                    assert_eq!(scripts, None, "{what}");
                    assert!(policy.starts_with("sandbox; "), "{what}: {policy}");
                    let elsewhere = dress == SecurityPolicy::Picture;
                    assert_eq!(resource_policy == "cross-origin", elsewhere, "{what}");
                }
            }
        }
    }
    let unknown = ask(&router, "GET", "/none", &[]).await;
    assert_eq!(unknown.status(), 404);
    assert!(unknown.headers().contains_key("content-security-policy"));
}

#[tokio::test]
async fn a_report_has_styles_and_images_of_its_run_alone() {
    let router = router(&hosts(Config::default()));
    let own = format!(" http://localhost:8080{RUN}");
    for status in ["200", "206", "304"] {
        for (kind, elsewhere) in [
            ("image/png", true),
            ("image/svg+xml", true),
            ("text/css; charset=utf-8", true),
            ("text/html", false),
            ("text/javascript", false),
            ("application/json", false),
        ] {
            let asked = [("wanted", status), ("kind", kind)];
            let answer = ask(&router, "GET", "/artifact/gs/b/logs/unit/7/x", &asked).await;
            let policy = answer.headers()["content-security-policy"]
                .to_str()
                .unwrap();
            assert!(policy.contains(&format!("img-src data:{own};")), "{policy}");
            assert!(
                policy.contains(&format!("style-src 'unsafe-inline'{own};")),
                "{policy}"
            );
            let resource_policy = &answer.headers()["cross-origin-resource-policy"];
            assert_eq!(
                resource_policy == "cross-origin",
                elsewhere,
                "{status} {kind}"
            );
        }
    }
    // A panic's response is not about a run, so nothing of a run is allowed.
    let answer = ask(&router, "GET", "/artifact/a/b", &[("wanted", "0")]).await;
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("img-src data:; style-src 'unsafe-inline';"),
        "{policy}"
    );
}

#[tokio::test]
async fn policies_name_the_addresses_of_links_too() {
    let mut config = Config::default();
    config.prow.plank = serde_json::from_value(json!({"job_url_prefix_config": {
        "*": "https://prow.example.com/view/", "o": "https://deck.example.com:8443/view",
    }}))
    .unwrap();
    let hosts = hosts(config);
    let router = router(&hosts);
    let answer = ask(&router, "GET", "/", &[("wanted", "200")]).await;
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    let expected = "script-src http://localhost:8080/static/ \
        http://deck.example.com:8443/static/ http://prow.example.com/static/;";
    assert!(policy.contains(expected), "{policy}");
}

#[tokio::test]
async fn another_name_gets_a_fixed_text() {
    let router = router(&hosts(Config::default()));
    let foreign = http::Request::get("/").header(header::HOST, "evil.example");
    let answer = router
        .clone()
        .oneshot(foreign.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), 421);
    assert!(answer.headers().contains_key("content-security-policy"));
}

#[test]
fn no_address_breaks_out_of_a_policy() {
    let hosts = hosts(Config::default());
    for host in ["a;script-src *", "a b", "a,b", "*", "a'", "user@a"] {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        assert!(
            hosts
                .own_addresses(&"/".parse().unwrap(), &headers)
                .is_empty(),
            "{host}"
        );
    }
    let run = content_security_policy(
        SecurityPolicy::Artifact,
        &["localhost".to_owned()],
        Some("/storage/a,b/"),
    );
    assert!(run.contains("http://localhost/storage/a%2Cb/;"), "{run}");
    let page = content_security_policy(SecurityPolicy::Page, &[], None);
    assert!(
        page.contains("script-src 'none'; style-src 'none';"),
        "{page}"
    );
}

/// As in the router: the layers are around every route.
#[tokio::test]
async fn a_method_that_is_not_there_is_dressed_too() {
    let hosts = hosts(Config::default());
    let wardrobe = Arc::new(RoutePolicies::new(hosts));
    let router: Router = Router::new()
        .route("/artifact/{*path}", axum::routing::get(answer))
        .layer(from_fn_with_state(wardrobe, set_security_headers));
    let answer = ask(&router, "POST", "/artifact/a/b", &[]).await;
    assert_eq!(answer.status(), 405);
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(
        policy.starts_with("sandbox; default-src 'none'; "),
        "{policy}"
    );
}
