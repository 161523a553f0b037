mod channel;
mod distributions;
mod instance;
