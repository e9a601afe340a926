/* What Debian's libstdc++ and libgcc_s ask of glibc and musl lacks, so that a musl process can run on them: Debian has no
 * libstdc++ built for musl. Only the tests need it; a musl system's Node.js brings a libstdc++ of that system. */
#define _GNU_SOURCE
#include <link.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* glibc 2.32 <sys/single_threaded.h> */
char __libc_single_threaded = 0;

/* glibc 2.36 */
uint32_t arc4random(void) {
  uint32_t value;
  if (getentropy(&value, sizeof value) != 0) abort();
  return value;
}

size_t __strftime_l(char *text, size_t size, const char *format, const struct tm *time, locale_t locale) {
  return strftime_l(text, size, format, time, locale);
}

/* Destructors of thread_local objects, which nothing in these tests has. */
int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *dso) {
  (void)destroy, (void)object, (void)dso;
  abort();
}

/* libgcc's own, which it exports by version only. */
unsigned int __cpu_model[4];
int __cpu_indicator_init(void) { return 0; }

/* glibc 2.35 <dlfcn.h>: the object around an address, by which the unwinder finds its tables. */
struct dl_find_object {
  unsigned long long flags;
  void *map_start, *map_end;
  struct link_map *link_map;
  void *eh_frame;
  unsigned long long reserved[7];
};

struct search {
  uintptr_t address;
  struct dl_find_object *found;
};

static int look(struct dl_phdr_info *object, size_t size, void *argument) {
  struct search *search = argument;
  uintptr_t low = UINTPTR_MAX, high = 0;
  void *eh_frame = 0;
  int inside = 0;
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &object->dlpi_phdr[i];
    const uintptr_t from = object->dlpi_addr + header->p_vaddr, to = from + header->p_memsz;
    if (header->p_type == PT_GNU_EH_FRAME) eh_frame = (void *)from;
    if (header->p_type != PT_LOAD) continue;
    if (from < low) low = from;
    if (to > high) high = to;
    if (search->address >= from && search->address < to) inside = 1;
  }
  if (!inside || eh_frame == 0) return 0;
  *search->found = (struct dl_find_object){.map_start = (void *)low, .map_end = (void *)high, .eh_frame = eh_frame};
  return 1;
}

int _dl_find_object(void *address, struct dl_find_object *found) {
  struct search search = {(uintptr_t)address, found};
  return dl_iterate_phdr(look, &search) != 0 ? 0 : -1;
}
