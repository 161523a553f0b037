mod metering;
mod plans;
mod scheduling;
