//! The world: it steps the machines of `cutover-model` in one event queue, carries their messages over its own
//! network, injects faults, and runs cases from seeds.

#[cfg(not(madsim))]
compile_error!(
    "cutover must be built with `--cfg madsim`. .cargo/config.toml sets it, unless RUSTFLAGS is set in the \
     environment, which overrides that file: unset RUSTFLAGS, or add `--cfg madsim` to it."
);

pub mod build;
pub mod case;
pub mod faults;
pub mod monitor;
pub mod random;
pub mod results;
pub mod run;
pub mod workload;
pub mod world;
