"""The virtual machine: a real kernel, real systemd, real character devices, in QEMU without KVM."""
