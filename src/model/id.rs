//! The ids of records and components.

use crate::value::id::uuid_id;

uuid_id! {
    /// The identity of an event class.
    #[doc(alias = "EventClassID")]
    EventClassId, 0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0011
}

uuid_id! {
    /// The identity of a subscription.
    #[doc(alias = "SubscriptionID")]
    SubscriptionId, 0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0012
}

uuid_id! {
    /// The identity of a component: of what is activated to receive events.
    #[doc(alias("CLSID", "SubscriberCLSID"))]
    ComponentId, 0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0013
}

uuid_id! {
    /// The identity of a publisher, which several event classes may share.
    #[doc(alias = "PublisherID")]
    PublisherId, 0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0014
}
