# Sourced by scripts that build: on a CPU older than x86-64-v3 (Haswell, 2013) the build must not assume it.
if [ "$(uname -m)" = x86_64 ] && ! grep -qm1 -w avx2 /proc/cpuinfo; then
  export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-cpu=x86-64-v2"
fi
