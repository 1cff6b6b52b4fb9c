use super::*;
use proptest::prelude::*;

#[test]
fn each_pair_has_exactly_one_equals_sign() {
    assert_eq!(Args::parse("A=1;B=").unwrap().pairs().len(), 2);
    for bad in ["A", "A=1;", ";A=1", "A=1=2", "A=1;;B=2"] {
        assert!(matches!(Args::parse(bad), Err(ArgsError::Pair(_))), "{bad}");
    }
    assert!(Args::parse("").unwrap().pairs().is_empty());
}

#[test]
fn a_value_with_equals_signs_passes_in_the_lenient_form() {
    let args = Args::parse_lenient("BLAH=foo=bar").unwrap();
    assert_eq!(args.get("BLAH"), Some("foo=bar"));
    assert_eq!(args.to_string(), "BLAH=foo=bar");
}

#[test]
fn unknown_keys_are_an_error_unless_they_may_be_ignored() {
    let known = ["MAC"];
    assert_eq!(Args::parse("MAC=a").unwrap().check_known(&known), Ok(()));
    assert_eq!(
        Args::parse("MAC=a;X=1").unwrap().check_known(&known),
        Err(ArgsError::Unknown(vec!["X".into()]))
    );
    for yes in ["1", "true", "TRUE", "True"] {
        let text = format!("IgnoreUnknown={yes};X=1");
        assert_eq!(
            Args::parse(&text).unwrap().check_known(&known),
            Ok(()),
            "{text}"
        );
    }
    assert!(
        Args::parse("IgnoreUnknown=false;X=1")
            .unwrap()
            .check_known(&known)
            .is_err()
    );
    assert!(
        Args::parse("IgnoreUnknown=yes")
            .unwrap()
            .check_known(&known)
            .is_err()
    );
}

#[test]
fn the_last_duplicate_wins_and_set_leaves_one() {
    let mut args = Args::parse("A=1;B=2;A=3").unwrap();
    assert_eq!(args.get("A"), Some("3"));
    assert_eq!(args.get("a"), None);
    assert_eq!(args.get_folded("a"), Some("3"));
    args.set("A", "4");
    args.set("C", "5");
    assert_eq!(args.to_string(), "A=4;B=2;C=5");
}

proptest! {
    #[test]
    fn printed_args_parse_to_themselves(pairs in proptest::collection::vec(("[A-Za-z_]{1,6}", "[^;=]{0,8}"), 0..5)) {
        let args: Args = pairs.into_iter().collect();
        prop_assert_eq!(Args::parse(&args.to_string()).unwrap(), args);
    }
}
