use super::*;

fn chart(log: bool, points: &[(f64, f64)]) -> String {
    let axis = |label: &str, log| Axis { label: label.to_owned(), log };
    let series = vec![Series { name: "a < b".to_owned(), points: points.to_vec() }];
    Chart { title: "t".to_owned(), x: axis("x", log), y: axis("y", false), series }.svg()
}

/// The places of a chart's line.
fn line(svg: &str) -> Vec<(f64, f64)> {
    let points =
        svg.split("<polyline points=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a line");
    let number = |text: &str| text.parse().expect("a number");
    points
        .split_whitespace()
        .filter_map(|pair| pair.split_once(','))
        .map(|(a, b)| (number(a), number(b)))
        .collect()
}

#[test]
fn equal_steps_are_equal_lengths_and_on_a_logarithmic_axis_equal_factors() {
    for (log, points) in
        [(false, [(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)]), (true, [(1.0, 0.0), (10.0, 0.5), (100.0, 1.0)])]
    {
        let places = line(&chart(log, &points));
        assert!((places[1].0 - places[0].0 - (places[2].0 - places[1].0)).abs() < 0.3, "{places:?}");
        assert!((places[0].1 - places[1].1 - (places[1].1 - places[2].1)).abs() < 0.3, "{places:?}");
    }
}

#[test]
fn everything_lies_within_the_axes_whatever_the_values() {
    for points in [
        vec![],
        vec![(5.0, 5.0)],
        vec![(0.0, 0.0), (0.0, 0.0)],
        vec![(1e-9, -3.0), (1e12, 4.0)],
        vec![(f64::NAN, 1.0), (3.0, 0.2)],
    ] {
        for log in [false, true] {
            let svg = chart(log, &points);
            assert!(svg.ends_with("</svg>\n") && svg.contains("a &lt; b"));
            let within =
                |(x, y): &(f64, f64)| x.is_nan() || ((60.0..630.0).contains(x) && (30.0..360.0).contains(y));
            assert!(line(&svg).iter().all(within), "{points:?}: {:?}", line(&svg));
        }
    }
}

#[test]
fn a_distribution_ends_at_all() {
    let points = distribution(&(0..1000).map(f64::from).collect::<Vec<_>>());
    assert_eq!((points.len(), points.last().copied()), (200, Some((999.0, 1.0))));
    assert_eq!(distribution(&[3.0]), [(3.0, 1.0)]);
    assert_eq!(distribution(&[]), []);
}

#[test]
fn runs_of_several_loads_are_drawn_over_load() {
    let text = "patience = \"10ms\"\n[topology]\nhosts_per_leaf = 2\nleaves = 2\nspines = 1\n\
         edge = { rate = \"10gbit\", delay = \"1us\", queue = \"100kB\" }\n\
         fabric = { rate = \"10gbit\", delay = \"1us\", queue = \"100kB\" }\n\
         [traffic]\nload = [0.2, 0.4]\nsize = \"10kB\"\nduration = \"1ms\"\npriority = 0.5\n";
    let experiment = crate::config::Experiment::parse(text, std::path::Path::new("")).expect("good");
    let registry = engine::Registry::new();
    let simulation =
        crate::run::Simulation::new(&experiment, &registry, std::path::Path::new("")).expect("no NFs");
    let run = |load| simulation.run(load, 1, None).expect("no NFs");
    let names = |reports: &[Report]| plots(reports).iter().map(|plot| plot.0).collect::<Vec<_>>();
    assert_eq!(names(&[run(0.2)]), ["completion.svg", "slowdown.svg"]);
    let both = [run(0.2), run(0.4)];
    assert_eq!(names(&both), ["completion.svg", "slowdown.svg", "missed.svg", "others.svg", "cloned.svg"]);
    let others = &plots(&both)[3].1;
    assert_eq!(line(others).len(), 2);
}
