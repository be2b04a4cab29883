//! What must hold on every page, in both languages and in every state.

use super::{samples, *};

fn every_page(check: impl Fn(&str, Lang, &str)) {
    for lang in Lang::ALL {
        for (name, html) in samples::all(lang) {
            check(&format!("{name}.{}", lang.as_str()), lang, &html);
        }
    }
}

/// The start tags of a page, without `<` and `>`.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
        .filter(|tag| !tag.starts_with('/'))
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The text a reader sees or hears, without tags.
fn text(html: &str) -> String {
    let body = html.split_once("<body>").map_or(html, |(_, body)| body);
    let parts = body.split('<').filter_map(|part| part.split_once('>'));
    let mut text: String = parts.flat_map(|(_, text)| [text, " "]).collect();
    for tag in tags(html) {
        for name in ["aria-label", "placeholder", "data-done"] {
            text.push_str(attribute(tag, name).unwrap_or_default());
            text.push(' ');
        }
    }
    text.push_str(
        html.split_once("<title>")
            .and_then(|(_, rest)| rest.split_once("</title>"))
            .map_or("", |(title, _)| title),
    );
    text
}

#[test]
fn nothing_on_a_page_needs_more_than_the_security_policy_allows() {
    every_page(|name, _, html| {
        for tag in tags(html) {
            assert!(!tag.starts_with("style"), "{name}: {tag}");
            assert!(!tag.contains(" style="), "{name}: {tag}");
            let names: String = tag.split('"').step_by(2).collect();
            assert!(!names.contains(" on"), "{name}: {tag}");
            if tag.starts_with("script") {
                assert!(
                    attribute(tag, "src").is_some_and(|src| src.starts_with("/static/app.js?v=")),
                    "{name}: {tag}"
                );
            }
            if let Some(href) = attribute(tag, "href").filter(|href| href.starts_with("http")) {
                assert!(
                    href.contains("twitch.tv/") && tag.contains("rel=\"noreferrer\""),
                    "{name}: {tag}"
                );
            }
            assert!(
                attribute(tag, "src").is_none_or(|src| src.starts_with("/static/")),
                "{name}: {tag}"
            );
        }
    });
}

#[test]
fn names_chosen_by_strangers_stay_text() {
    every_page(|name, _, html| {
        assert!(!html.contains("<svg onload"), "{name}");
        assert!(!html.contains("alert(1)>\""), "{name}");
    });
}

#[test]
fn every_form_carries_its_token() {
    every_page(|name, _, html| {
        for form in html.split("<form").skip(1) {
            let form = form
                .split_once("</form>")
                .unwrap_or_else(|| panic!("{name}: open form"))
                .0;
            if form.contains("method=\"get\"") {
                continue;
            }
            assert!(
                form.contains("method=\"post\"") && form.contains("action=\"/"),
                "{name}: {form}"
            );
            assert!(form.contains("name=\"csrf\" value=\"tok-4f3a\""), "{name}: {form}");
            if form.contains("/preferences") {
                assert!(form.contains("name=\"back\" value=\"/"), "{name}: {form}");
            }
        }
        assert_eq!(html.matches("<form").count(), html.matches("</form>").count(), "{name}");
    });
}

#[test]
fn headings_begin_at_one_and_leave_no_level_out() {
    every_page(|name, _, html| {
        let is_heading = |tag: &&str| tag.len() > 1 && tag.starts_with('h') && tag.as_bytes()[1].is_ascii_digit();
        let levels: Vec<u8> = tags(html)
            .into_iter()
            .filter(is_heading)
            .map(|tag| tag.as_bytes()[1] - b'0')
            .collect();
        assert_eq!(
            levels.iter().copied().filter(|level| *level == 1).count(),
            1,
            "{name}: {levels:?}"
        );
        let mut last = 0;
        for level in levels {
            assert!(level <= last + 1, "{name}: h{last} then h{level}");
            last = level;
        }
    });
}

#[test]
fn ids_are_unique_and_labels_point_somewhere() {
    every_page(|name, _, html| {
        let tags = tags(html);
        let ids: Vec<&str> = tags.iter().filter_map(|tag| attribute(tag, "id")).collect();
        for id in &ids {
            assert_eq!(ids.iter().filter(|other| other == &id).count(), 1, "{name}: {id}");
        }
        for tag in &tags {
            for reference in ["for", "aria-labelledby", "data-copy"]
                .into_iter()
                .filter_map(|name| attribute(tag, name))
            {
                for id in reference.split(' ') {
                    assert!(ids.contains(&id), "{name}: {tag}");
                }
            }
        }
    });
}

#[test]
fn tables_name_their_heads_and_themselves() {
    every_page(|name, _, html| {
        assert_eq!(
            html.matches("<table").count(),
            html.matches("<caption").count(),
            "{name}"
        );
        for tag in tags(html)
            .into_iter()
            .filter(|tag| tag.starts_with("th ") || *tag == "th")
        {
            assert!(attribute(tag, "scope").is_some(), "{name}: {tag}");
        }
    });
}

#[test]
fn the_page_says_its_language_and_its_title() {
    every_page(|name, lang, html| {
        assert!(html.contains(&format!("<html lang=\"{}\"", lang.as_str())), "{name}");
        let title = html.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
        assert!(
            title.ends_with(" · tca") && title.len() > 10 && !title.contains('\n'),
            "{name}: {title}"
        );
    });
}

#[test]
fn french_pages_speak_french() {
    let english = [
        " the ",
        " and ",
        " of ",
        " with ",
        "Capture a ",
        " capture of",
        "Cancel ",
        "Channels",
        "Overview",
        "Settings",
        " your ",
        " ago",
        "Analysis",
        "Saved",
        "Erase",
        "Delete",
        "Refresh",
        "Show ",
        "Back ",
        " accounts",
        " account ",
        " is ",
        " are ",
        "Not ",
        "Nothing",
    ];
    every_page(|name, lang, html| {
        let text = text(html).replace("Raid of 3 Oct", "");
        if lang == Lang::Fr {
            for word in english {
                assert!(!text.contains(word), "{name}: {word:?}");
            }
            let words = text.split_whitespace();
            let glued = |word: &&str| word.ends_with(':') && word.len() > 1 && !word.ends_with("\u{202f}:");
            assert_eq!(words.clone().find(glued), None, "{name}: a colon without its space");
            for mark in [" :", " ;", " ?", " !", " %", "« ", " »", "'"] {
                assert!(
                    !text.contains(mark),
                    "{name}: {mark:?} needs a narrow no-break space or ’"
                );
            }
        } else {
            for word in [" le ", " la ", " les ", " vous ", " et ", " compte", "é"] {
                assert!(
                    !text.replace("tanguy_et_les_ours", "").contains(word),
                    "{name}: {word:?}"
                );
            }
        }
    });
}

#[test]
fn pages_stay_small() {
    every_page(|name, _, html| assert!(html.len() < 60_000, "{name}: {} bytes", html.len()));
}

#[test]
fn the_theme_is_a_class_only_when_chosen() {
    let render = |theme| {
        let page = samples::page(Lang::En, "/x").with_theme(theme);
        ErrorPage {
            page,
            kind: ErrorKind::NotFound,
            way_on: None,
            request_id: None,
        }
        .to_string()
    };
    assert!(render(Theme::Auto).contains("<html lang=\"en\">"));
    assert!(render(Theme::Dark).contains("<html lang=\"en\" class=\"dark\">"));
    assert!(render(Theme::Light).contains("content=\"light\""));
}

#[test]
fn the_navigation_marks_where_one_is() {
    let page = |path| samples::page(Lang::En, path);
    assert!(page("/analysis/saved/1?x=2").is_in("/analysis"));
    assert!(!page("/analysis").is_in("/"));
    assert!(!page("/sessionsx").is_in("/sessions"));
    assert!(page("/?live=0").is_in("/"));
}

#[test]
fn updating_can_be_stopped_and_started_without_losing_the_filter() {
    let page = |path| samples::page(Lang::En, path);
    assert_eq!(
        page("/channels?q=a&page=2").live_toggle(),
        "/channels?q=a&page=2&live=0"
    );
    assert!(!page("/channels?q=a&live=0").live);
    assert_eq!(page("/channels?live=0&q=a").live_toggle(), "/channels?q=a");
    assert_eq!(page("/channels?live=0").live_toggle(), "/channels");
}

#[test]
fn notices_and_themes_find_their_way_back_from_text() {
    for notice in Notice::ALL {
        assert_eq!(Notice::parse(notice.as_str()), Some(notice));
        let same_words = |other: &Notice| other.message(Lang::En) == notice.message(Lang::En);
        assert_eq!(Notice::ALL.into_iter().filter(same_words).count(), 1, "{notice:?}");
    }
    for theme in Theme::ALL {
        assert_eq!(Theme::parse(theme.as_str()), Some(theme));
    }
}

#[test]
fn key_pages_look_as_they_did() {
    let without_hashes = |html: &str| {
        let mut html = html.to_owned();
        for name in ["style.css", "app.js", "icons.svg", "favicon.svg"] {
            html = html.replace(&assets::url(name), &format!("/static/{name}"));
        }
        html
    };
    for (name, html) in samples::all(Lang::Fr) {
        if ["channels", "confirm_delete", "account_history"].contains(&name.as_str()) {
            insta::assert_snapshot!(name, without_hashes(&html));
        }
    }
}

/// Writes every page to the folder in `TCA_SAMPLES`, to look at them in a browser; does nothing without it.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a switch for people, not a setting of the program"
)]
fn the_pages_can_be_looked_at() {
    let Ok(folder) = std::env::var("TCA_SAMPLES") else {
        return;
    };
    for lang in Lang::ALL {
        for (name, html) in samples::all(lang) {
            std::fs::write(format!("{folder}/{name}.{}.html", lang.as_str()), html).unwrap();
        }
    }
}
