use proptest::prelude::proptest;

use super::*;

const TIME: Time = Time { start: 5, now: 9 };

#[test]
fn counters_gauges_and_histograms_are_read_back() {
    let text = "# HELP a_total What is counted.\n# TYPE a_total counter\na_total{app=\"x\",code=\"2xx\"} 7\na_total 2\n\
        # HELP g A gauge.\n# TYPE g gauge\ng{q=\"a\\\\b\\\"c\\nd,}\"} 0.5\n\
        # TYPE h_seconds histogram\nh_seconds_bucket{app=\"x\",le=\"0.1\"} 2\nh_seconds_bucket{app=\"x\",le=\"+Inf\"} 5\n\
        h_seconds_sum{app=\"x\"} 1.25\nh_seconds_count{app=\"x\"} 5\nnot a line\n";
    let all = metrics(text, TIME);
    let names: Vec<_> = all.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
    assert_eq!(names, [("a_total", ""), ("g", ""), ("h_seconds", "s")]);
    let Some(Data::Sum(sum)) = &all[0].data else { panic!("{:?}", all[0]) };
    assert!(sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE && sum.data_points.len() == 2);
    assert_eq!(sum.data_points[0].value, Some(Value::AsInt(7)));
    assert_eq!(sum.data_points[0].attributes, [text_of("app", "x"), text_of("code", "2xx")]);
    assert_eq!((sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano), (5, 9));
    let Some(Data::Gauge(gauge)) = &all[1].data else { panic!("{:?}", all[1]) };
    assert_eq!(gauge.data_points[0].attributes, [text_of("q", "a\\b\"c\nd,}")]);
    assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(0.5)));
    let Some(Data::Histogram(histogram)) = &all[2].data else { panic!("{:?}", all[2]) };
    let point = &histogram.data_points[0];
    assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[2, 3][..], &[0.1][..]));
    assert_eq!((point.count, point.sum), (5, Some(1.25)));
}

fn text_of(key: &str, value: &str) -> KeyValue {
    text(key, value)
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "(# TYPE a (counter|histogram)\na[{a-z=\",} 0-9]{0,60}\n){0,3}.{0,60}") {
        metrics(&text, TIME);
    }
}
