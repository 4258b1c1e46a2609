#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "clinuxblock.h"

// Not in netdb.h, but part of glibc's interface. A statically linked program would load whatever modules nsswitch.conf
// names, built for another glibc, and abort.
extern int __nss_configure_lookup(const char *database, const char *services);

int lb_resolve_plainly(void) { return __nss_configure_lookup("hosts", "files dns"); }

// Buffers of a sync come and go: give each back to the system at once instead of keeping it in one of many arenas.
void lb_keep_memory_low(void) {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 512 << 10);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int lb_power_off(void) { return reboot(RB_POWER_OFF) == 0 ? 0 : -errno; }
