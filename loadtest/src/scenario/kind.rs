use clap::ValueEnum;

/// The mix of requests of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// One user by id, at random.
    Read,
    /// A new user.
    Create,
    /// Pages of 20, one after the other.
    Page,
    /// The name of one user, at random.
    Update,
    /// As many readers of the live stream as there are connections, while --rate users a second are updated; measured
    /// is the time from when an update was due until each reader has its event.
    Watch,
    /// One user by id, at random, over gRPC.
    GrpcRead,
    /// 75% reads of one user, 15% updates, 5% pages, 5% creates.
    Crud,
}

/// What a request does, or is measured as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Create,
    Page,
    Update,
    /// An event that reached a reader.
    Delivery,
    GrpcRead,
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Page => "page",
            Self::Update => "update",
            Self::Watch => "watch",
            Self::GrpcRead => "grpc-read",
            Self::Crud => "crud",
        }
    }

    /// How many users it makes for itself, unless --seed says otherwise.
    pub(crate) fn users(self) -> u64 {
        match self {
            Self::Read | Self::Update | Self::GrpcRead | Self::Crud => 50_000,
            Self::Page => 10_000,
            Self::Watch => 100,
            Self::Create => 0,
        }
    }

    /// Whether users that it did not make are left as they are.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Read | Self::Page | Self::GrpcRead)
    }

    /// What a request counts as that was never made.
    pub(crate) fn usual_kind(self) -> Kind {
        match self {
            Self::Read | Self::Crud => Kind::Read,
            Self::Create => Kind::Create,
            Self::Page => Kind::Page,
            Self::Update | Self::Watch => Kind::Update,
            Self::GrpcRead => Kind::GrpcRead,
        }
    }

    /// Whether a run is measured by requests of this kind.
    pub(crate) fn measures(self) -> fn(Kind) -> bool {
        match self {
            Self::Watch => |kind| kind == Kind::Delivery,
            _ => |_| true,
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Page => "page",
            Self::Update => "update",
            Self::Delivery => "delivery",
            Self::GrpcRead => "grpc-read",
        }
    }
}
