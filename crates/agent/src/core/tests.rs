mod adoption;
mod failing;
mod jobs;
mod records;
mod renewing;
mod rig;
mod starting;
mod updating;
