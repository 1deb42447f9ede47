//! What a broker measures of its fires and deliveries.

mod activity;
mod histogram;
mod lane_meter;
mod meters;
mod method_meter;
mod options;
mod prometheus;
mod snapshot;
mod standing;
mod stripes;
mod subscription_meter;

pub use self::activity::Activity;
pub use self::histogram::Latencies;
pub(crate) use self::lane_meter::LaneMeter;
pub(crate) use self::meters::Meters;
pub(crate) use self::method_meter::{Begun, ChannelMeter};
pub use self::options::MetricsOptions;
pub use self::snapshot::{MethodMetrics, Metrics, SubscriptionMetrics};
pub(crate) use self::standing::Standing;
pub(crate) use self::subscription_meter::SubscriptionMeter;
