use super::*;
use crate::testing::*;

fn succeeded() -> Roots {
    let mut roots = roots();
    for root in [NEW_ROOT, OTHER] {
        let next = Succession::sign(&roots, public(root), public(RECOVERY), &key(RECOVERY)).unwrap();
        roots.apply(&next).unwrap();
    }
    roots
}

#[test]
fn papers_read_back() {
    assert_eq!(Chain::from_pem(&chain().to_pem()).unwrap(), chain());
    assert_eq!(Certificate::from_pem(&membership().to_pem()).unwrap(), membership());
    for roots in [roots(), succeeded()] {
        assert_eq!(Roots::from_pem(&roots.to_pem()).unwrap(), roots);
        for succession in roots.successions() {
            assert_eq!(Succession::from_pem(&succession.to_pem()).unwrap(), *succession);
        }
    }
    assert!(chain().to_pem().starts_with("-----BEGIN MYCELIUM CERTIFICATE-----\n"));
    assert_eq!(Chain::from_pem(&format!("\n {}\n\n", chain().to_pem())).unwrap(), chain(), "pasted");
}

#[test]
fn one_paper_is_not_taken_for_another() {
    let texts =
        [membership().to_pem(), chain().to_pem(), succeeded().successions()[0].to_pem(), roots().to_pem()];
    for (n, text) in texts.iter().enumerate() {
        let read = [
            Certificate::from_pem(text).is_ok(),
            Chain::from_pem(text).is_ok(),
            Succession::from_pem(text).is_ok(),
            Roots::from_pem(text).is_ok(),
        ];
        assert_eq!(read.iter().filter(|read| **read).count(), 1);
        assert!(read[n]);
    }
    let error = Chain::from_pem(&membership().to_pem()).unwrap_err().to_string();
    assert_eq!(error, "it holds MYCELIUM CERTIFICATE, which is not what belongs here");
    assert_eq!(Chain::from_pem(" ").unwrap_err(), PaperError::OtherBlocks("nothing".into()));
}

#[test]
fn other_texts_of_the_same_paper_are_refused() {
    let text = chain().to_pem();
    let one = membership().to_pem();
    let bad = [
        text.replace('\n', "\r\n"),
        text.replace("-----\n-----", "-----\n\n-----"),
        text.replace("-----\n-----", "-----\nbetween\n-----"),
        format!("before\n{text}"),
        format!("{text}after"),
        text[..text.len() - 2].to_owned(),
        text[1..].to_owned(),
        text.replacen('\n', "\nKey: value\n\n", 1),
        text.replacen("END MYCELIUM CERTIFICATE", "END MYCELIUM GENESIS", 1),
        // Lines of another width.
        one.lines().map(|line| line.replace("AAA", "AA\nA")).collect::<Vec<_>>().join("\n") + &one,
    ];
    for bad in bad {
        assert_eq!(Chain::from_pem(&bad), Err(PaperError::NotPem), "{bad}");
    }
}

#[test]
fn every_altered_byte_of_a_text_is_refused() {
    let text = chain().to_pem();
    for altered in alterations(text.trim_end().as_bytes()).filter_map(|bytes| String::from_utf8(bytes).ok()) {
        let believed = Chain::from_pem(&altered).is_ok_and(|chain| chain.verify_known(&roots()).is_ok());
        assert!(!believed, "{altered}");
    }
}

#[test]
fn roots_whose_successions_do_not_follow_are_refused() {
    let roots = succeeded();
    let [first, second] = roots.successions() else { panic!("two") };
    let genesis = super::block(GENESIS, &genesis().encode());
    let read = |texts: &[String]| Roots::from_pem(&texts.concat());
    assert!(read(&[genesis.clone(), first.to_pem(), second.to_pem()]).is_ok());
    for bad in [
        [genesis.clone(), second.to_pem(), first.to_pem()],
        [genesis.clone(), first.to_pem(), first.to_pem()],
        [genesis.clone(), first.to_pem(), membership().to_pem()],
        [genesis.clone(), genesis.clone(), first.to_pem()],
    ] {
        assert!(matches!(read(&bad), Err(PaperError::OtherBlocks(_))), "{bad:?}");
    }
    let forged = first.clone().signed(&key(OTHER)).unwrap();
    assert!(matches!(read(&[genesis, forged.to_pem()]), Err(PaperError::Succession(_))));
}

#[test]
fn a_text_that_is_too_long_is_not_looked_at() {
    let long = chain().to_pem() + &" ".repeat(MAX_TEXT);
    assert_eq!(Chain::from_pem(&long), Err(PaperError::NotPem));
}
