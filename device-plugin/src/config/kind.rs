//! What a pool is made of, and how its devices reach containers.

/// Kind of a pool's devices; a device is of one kind only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceType {
    /// PCI functions of base class 02.
    #[default]
    NetDevice,
    /// PCI functions of base class 12.
    Accelerator,
    /// Sub-functions on the auxiliary bus.
    AuxNetDevice,
}

impl DeviceType {
    /// As the configuration spells it.
    pub fn key(self) -> &'static str {
        match self {
            Self::NetDevice => "netDevice",
            Self::Accelerator => "accelerator",
            Self::AuxNetDevice => "auxNetDevice",
        }
    }

    /// As people say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::NetDevice => "a network function",
            Self::Accelerator => "an accelerator",
            Self::AuxNetDevice => "a sub-function",
        }
    }

    /// Selectors that this kind of device has nothing for.
    pub(super) fn without(self) -> &'static [&'static str] {
        match self {
            Self::NetDevice => &["auxTypes"],
            Self::Accelerator => &[
                "pfNames",
                "rootDevices",
                "linkTypes",
                "ddpProfiles",
                "pKeys",
                "isRdma",
                "vdpaType",
                "needVhostNet",
                "includePfs",
                "auxTypes",
            ],
            Self::AuxNetDevice => &[
                "pciAddresses",
                "acpiIndexes",
                "ddpProfiles",
                "pKeys",
                "vdpaType",
                "includePfs",
            ],
        }
    }
}

/// Driver of the vdpa bus that a VF's device must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VdpaType {
    /// `vhost_vdpa`: the container gets a device node.
    Vhost,
    /// `virtio_vdpa`: the kernel makes an interface of it.
    Virtio,
}

impl VdpaType {
    /// As configuration and DeviceInfo spell it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Vhost => "vhost",
            Self::Virtio => "virtio",
        }
    }

    /// The driver's name on the bus.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Vhost => "vhost_vdpa",
            Self::Virtio => "virtio_vdpa",
        }
    }
}

/// Which nodes of VFIO a container gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VfioNodes {
    /// Container and group: what all programs know.
    Group,
    /// The device's own node and /dev/iommu only; a device without them is refused.
    Cdev,
    /// The group's, and the device's own where the kernel has them.
    #[default]
    Both,
}
