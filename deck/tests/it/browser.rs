//! What a browser does with artifacts: Chromium, against a Deck behind a proxy that records its
//! requests.

mod chromium;
mod pages;
mod proxy;

use crate::harness::Deck;
use chromium::{Browser, Picture};
use proxy::Proxy;

const DIR: &str = "logs/unit/7";
const OTHER: &str = "logs/unit/8";
/// What a script requests when it runs.
const BEACON: &str = "/beacon";

/// Tries each way to run a script, to load what is not of its run, and to leave the page.
const EVIL: &str = r#"<!doctype html><html><head>
<base href="/static/">
<meta http-equiv="refresh" content="0; url=/beacon?refresh">
<link rel="stylesheet" href="/storage/logs/unit/8/other.css">
<link rel="preload" as="script" href="/storage/logs/unit/7/evil.js">
<link rel="prefetch" href="/beacon?prefetch">
<script src="/storage/logs/unit/7/evil.js"></script>
<script type="module" src="/storage/logs/unit/7/evil.js"></script>
<script src="data:text/javascript,fetch('/beacon?data')"></script>
<script>fetch('/beacon?inline'); new Image().src = '/beacon?image'; location = '/beacon?location'</script>
</head><body onload="fetch('/beacon?onload')">
<img src="/storage/logs/unit/8/other.png">
<img src="/none.png" onerror="fetch('/beacon?onerror')">
<svg onload="fetch('/beacon?svg')"><script>fetch('/beacon?svg-script')</script></svg>
<iframe src="/beacon?frame"></iframe>
<iframe srcdoc="<script>parent.fetch('/beacon?srcdoc')</script>"></iframe>
<object data="/beacon?object"></object><embed src="/beacon?embed">
<video src="/beacon?video" autoplay></video>
<form id="f" action="/beacon"><input name="form" autofocus onfocus="f.submit()"></form>
<a id="a" href="javascript:fetch('/beacon?link')" autofocus>x</a>
<style>@import "/storage/logs/unit/8/other.css"; @font-face { font-family: x; src: url(/beacon?font) }
p { font-family: x; background: url(/storage/logs/unit/8/other.png) }</style><p>x</p>
</body></html>"#;

const EVIL_SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" onload="fetch('/beacon?svg-file')">
<script>fetch('/beacon?svg-file-script')</script><script href="/storage/logs/unit/7/evil.js"/></svg>"#;

const EVIL_XHTML: &str = r#"<html xmlns="http://www.w3.org/1999/xhtml"><body>
<script src="/storage/logs/unit/7/evil.js"/><script>fetch('/beacon?xhtml')</script></body></html>"#;

#[tokio::test]
async fn no_script_of_an_artifact_runs_on_decks_origin() {
    let deck = Deck::start().await;
    let script = "fetch('/prowjobs.js').then(() => fetch('/beacon?script'))";
    for (key, text, kind) in [
        (format!("{DIR}/evil.html"), EVIL, "text/html"),
        (format!("{DIR}/evil.svg"), EVIL_SVG, "image/svg+xml"),
        (
            format!("{DIR}/evil.xhtml"),
            EVIL_XHTML,
            "application/xhtml+xml",
        ),
        (format!("{DIR}/evil.js"), script, "text/javascript"),
        // Neither its name nor its content may make the browser treat it as a page.
        (format!("{DIR}/evil.txt"), EVIL, "text/plain"),
        (format!("{OTHER}/other.css"), "p { color: red }", "text/css"),
        (format!("{OTHER}/other.png"), "png", "image/png"),
    ] {
        deck.store(&key, text, kind).await;
    }
    let proxy = Proxy::start(&deck.base).await;
    let browser = Browser::new();

    // Control: the proxy does notice a script, on a page that is not Deck's.
    browser.show(&proxy.url("/control.html")).await;
    assert!(proxy.has_seen("/beacon?control"), "{:?}", proxy.seen());

    for way in ["/storage", "/artifact/storage"] {
        for name in ["evil.html", "evil.svg", "evil.xhtml", "evil.txt", "evil.js"] {
            let path = format!("{way}/{DIR}/{name}");
            // The second time the browser asks whether its cached copy is still valid.
            for status in [200, 304] {
                proxy.forget();
                browser.show(&proxy.url(&path)).await;
                let seen = proxy.seen();
                assert!(
                    seen.contains(&(path.clone(), status)),
                    "{path} {status}: {seen:?}"
                );
                let others = seen
                    .iter()
                    .filter(|(asked, _)| *asked != path && asked != "/favicon.ico");
                assert_eq!(
                    others.collect::<Vec<_>>(),
                    [] as [&(String, u16); 0],
                    "{path} {status}"
                );
            }
        }
    }
    assert!(!proxy.has_seen(BEACON));
}

const REPORT: &str = r#"<!doctype html><link rel="stylesheet" href="css/report.css">
<style>img { position: absolute; left: 0; top: 100px }</style><img src="../image.svg">"#;
const STYLE: &str =
    "body { margin: 0; background: rgb(0, 0, 255) url(tile.svg) no-repeat 100px 0 }";

fn square(color: &str) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><rect width="100" height="100" fill="{color}"/></svg>"#
    )
}

#[tokio::test]
async fn styles_and_images_of_a_report_are_shown_in_it() {
    let deck = Deck::start().await;
    let (red, green) = (square("#ff0000"), square("#00ff00"));
    for (name, text, kind) in [
        ("artifacts/html/report.html", REPORT, "text/html"),
        (
            "artifacts/html/css/report.css",
            STYLE,
            "text/css; charset=utf-8",
        ),
        ("artifacts/html/css/tile.svg", &green, "image/svg+xml"),
        ("artifacts/image.svg", &red, "image/svg+xml"),
    ] {
        deck.store(&format!("{DIR}/{name}"), text, kind).await;
    }
    let proxy = Proxy::start(&deck.base).await;
    let browser = Browser::new();
    for way in ["/storage", "/artifact/storage"] {
        let path = format!("{way}/{DIR}/artifacts/html/report.html");
        for status in [200, 304] {
            proxy.forget();
            let picture: Picture = browser.show(&proxy.url(&path)).await;
            let seen = proxy.seen();
            assert!(
                seen.contains(&(path.clone(), status)),
                "{path} {status}: {seen:?}"
            );
            let what = format!("{path} {status}: {seen:?}");
            assert_eq!(picture.color(50, 50), [0, 0, 255], "the style: {what}");
            assert_eq!(
                picture.color(150, 50),
                [0, 255, 0],
                "the style's image: {what}"
            );
            assert_eq!(picture.color(50, 150), [255, 0, 0], "the image: {what}");
        }
    }
}

#[tokio::test]
async fn decks_own_pages_have_their_scripts_and_styles() {
    let deck = Deck::start().await;
    let proxy = Proxy::start(&deck.base).await;
    let browser = Browser::new();
    browser.show_live(&proxy.url("/")).await;
    for file in ["/static/style.css", "/static/jobs.js", "/static/icon.svg"] {
        assert!(proxy.has_seen(file), "{file}: {:?}", proxy.seen());
    }
    // The page's script requests it.
    assert!(proxy.has_seen("/events"), "{:?}", proxy.seen());
}
