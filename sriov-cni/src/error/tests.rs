use super::*;

#[test]
fn words_that_runtimes_take_for_success_are_replaced_in_any_letter_case() {
    let text = "open /x: No such file or directory; lease Not Found; NotFound; no such file";
    let told = without_success_words(text);
    assert_eq!(
        told,
        "open /x: absent (ENOENT); lease absent; absent; absent"
    );
}

#[test]
fn text_that_only_looks_alike_is_left_alone() {
    let text = "ÄÖÜ: no such device, nothing found";
    assert_eq!(without_success_words(text), text);
}

#[test]
fn several_errors_are_one_with_the_code_of_the_first() {
    let one = |vf: &str, code| Error::Vf {
        vf: vf.parse().unwrap(),
        problem: "broken".to_owned(),
        code,
    };
    assert!(Error::from_many(Vec::new()).is_none());
    let single = Error::from_many(vec![one("0000:3b:02.1", 100)]).unwrap();
    assert_eq!(single.to_string(), "VF 0000:3b:02.1: broken");
    let many = Error::from_many(vec![one("0000:3b:02.1", 102), one("0000:3b:02.2", 100)]).unwrap();
    assert_eq!(many.code(), 102);
    assert_eq!(
        many.to_cni().msg,
        "VF 0000:3b:02.1: broken (1 more: VF 0000:3b:02.2: broken)"
    );
}
