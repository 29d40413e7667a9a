mod adoption;
mod failing;
mod jobs;
mod records;
mod rig;
mod starting;
mod updating;
