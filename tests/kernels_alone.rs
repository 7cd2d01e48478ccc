//! The kernels without the rest of the program, so that a sanitizer can watch their tests in seconds: `tests/sanitize`.
//! The numbers that they take from other modules are repeated here.

mod model {
    pub const VAGUE_CODE: &str = "000000";

    pub mod calibration {
        pub const LEAST: f32 = 1e-6;

        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct Beta {
            pub a: f32,
            pub b: f32,
            pub c: f32,
        }

        impl Beta {
            pub const IDENTITY: Beta = Beta { a: 1.0, b: 1.0, c: 0.0 };
        }
    }

    pub mod forward {
        pub const GROUPS: usize = 64;
    }
}

mod compile {
    pub const FEATURE_MAX: i32 = 4095;
    pub const BYTE_SHIFT: u32 = 3;
    pub const PANEL: usize = 64;
}

#[path = "../src/engine/kernel.rs"]
mod kernel;
#[path = "../src/engine/softmax.rs"]
mod softmax;

pub use kernel::Kernel;

pub const TOP: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    pub top: [(u32, f32); TOP],
    pub choices: usize,
    pub vague: bool,
    pub heading: f32,
    pub chapter: f32,
    pub tokens: usize,
    pub unknown: usize,
    pub cut: bool,
}

impl Score {
    pub fn confidence(&self) -> f32 {
        self.top[0].1
    }
}
