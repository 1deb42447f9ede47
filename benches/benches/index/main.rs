fn main() {
    use loosely_benches::workload::Workload;
    let mut args = std::env::args().skip(1);
    let n: usize = args.next().unwrap().parse().unwrap();
    for w in [Workload::W1, Workload::W1Zero, Workload::W2, Workload::W3, Workload::Labels, Workload::W4Identical, Workload::W4Unfiltered] {
        let mut sides = None;
        let m = allocation_counter::measure(|| sides = Some(sides::Sides::new(w, n).unwrap()));
        let _ = m;
        let mut sides = sides.unwrap();
        let avg = sides.check(50.min(200_000_000 / n)).unwrap();
        let mut c = Default::default();
        for _ in 0..2000 { sides.by_index(&mut c); }
        let mut times: Vec<f64> = Vec::new();
        let t = std::time::Instant::now();
        for _ in 0..2000 { let t = std::time::Instant::now(); sides.by_index(&mut c); times.push(t.elapsed().as_nanos() as f64); }
        let mean = t.elapsed().as_nanos() as f64 / 2000.0;
        times.sort_by(f64::total_cmp);
        let t = std::time::Instant::now();
        for _ in 0..20 { sides.by_scan(&mut c); }
        let scan = t.elapsed().as_nanos() as f64 / 20.0;
        // bytes
        sides.scan = scan::Scan::new(w);
        let sizes = sides.index.sizes();
        let m = allocation_counter::measure(|| drop(std::mem::take(&mut sides.index)));
        println!("{w:?} n={n} avg {avg:.1} mean {mean:.0} median {:.0} p99 {:.0} scan {scan:.0} ({:.2}/sub) ratio mean {:.0} median {:.0} bytes/sub {:.1} {sizes:?}", times[1000], times[1980], scan / n as f64, scan/mean, scan/times[1000], -m.bytes_current as f64 / n as f64);
    }
}
mod scan;
mod sides;
