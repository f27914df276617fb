/*
 * fsx FILE SEED COUNT [mmap]: random reads, writes, appends, truncations, reopenings and syncs of one file (and, with mmap,
 * reads and writes by shared mappings), each checked against a copy in memory. Prints FSX-OK, or what differs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST (256 * 1024)
static unsigned char good[MOST], piece[MOST];
static size_t size;
static unsigned state;
static int fd, with_mmap;
static const char *path;
static long step;

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % limit;
}

static void fail(const char *what, size_t at)
{
	printf("FSX-FAILED: step %ld: %s at %zu of %zu: %s\n", step, what, at, size, strerror(errno));
	exit(1);
}

static void compare(const unsigned char *got, size_t at, size_t length, const char *what)
{
	for (size_t i = 0; i < length; i++)
		if (got[i] != good[at + i]) {
			printf("got %02x in place of %02x\n", got[i], good[at + i]);
			fail(what, at + i);
		}
}

static void reopen(int flags)
{
	if (close(fd) < 0) fail("close", 0);
	fd = open(path, flags);
	if (fd < 0) fail("open", 0);
}

static void grow(size_t to)
{
	if (to <= size) return;
	memset(good + size, 0, to - size);
	size = to;
}

static void do_read(void)
{
	size_t at = below(MOST), length = 1 + below(64 * 1024);
	ssize_t got = pread(fd, piece, length, at);
	size_t wanted = at >= size ? 0 : size - at < length ? size - at : length;
	if (got < 0 || (size_t)got != wanted) fail("read", at);
	compare(piece, at, wanted, "read");
}

static void do_write(size_t at)
{
	size_t length = 1 + below(64 * 1024);
	if (at + length > MOST) length = MOST - at;
	if (length == 0) return;
	for (size_t i = 0; i < length; i++) piece[i] = step * 7 + i;
	if (pwrite(fd, piece, length, at) != (ssize_t)length) fail("write", at);
	grow(at + length);
	memcpy(good + at, piece, length);
}

static void do_append(void)
{
	if (size >= MOST - 4096) return;
	reopen(O_RDWR | O_APPEND);
	size_t length = 1 + below(4096);
	for (size_t i = 0; i < length; i++) piece[i] = step * 5 + i;
	if (write(fd, piece, length) != (ssize_t)length) fail("append", size);
	size_t at = size;
	grow(at + length);
	memcpy(good + at, piece, length);
	reopen(O_RDWR);
}

static void do_truncate(int by_name)
{
	size_t to = below(MOST);
	if ((by_name ? truncate(path, to) : ftruncate(fd, to)) < 0) fail("truncate", to);
	grow(to);
	memset(good + to, 0, MOST - to);
	size = to;
}

static void do_map(int write)
{
	if (!with_mmap || size == 0) return;
	long page = sysconf(_SC_PAGESIZE);
	size_t at = below(size), start = at / page * page;
	size_t length = 1 + below(32 * 1024);
	if (at + length > size) length = size - at;
	unsigned char *map = mmap(NULL, at + length - start, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, start);
	if (map == MAP_FAILED) fail("mmap", at);
	if (write)
		for (size_t i = 0; i < length; i++) good[at + i] = map[at - start + i] = step * 3 + i;
	else
		compare(map + (at - start), at, length, "mapped read");
	if (write && below(2) && msync(map, at + length - start, MS_SYNC) < 0) fail("msync", at);
	if (munmap(map, at + length - start) < 0) fail("munmap", at);
}

int main(int argc, char **argv)
{
	if (argc < 4) return 2;
	path = argv[1];
	state = strtoul(argv[2], NULL, 0) * 2654435761u + 1;
	long count = atol(argv[3]);
	with_mmap = argc > 4;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0) fail("create", 0);
	for (step = 0; step < count; step++) {
		struct stat status;
		switch (below(12)) {
		case 0: case 1: case 2: do_read(); break;
		case 3: case 4: do_write(below(MOST)); break;
		case 5: do_append(); break;
		case 6: do_truncate(0); break;
		case 7: do_truncate(1); break;
		case 8: do_map(0); break;
		case 9: do_map(1); break;
		case 10: reopen(O_RDWR); break;
		default: if ((below(2) ? fsync(fd) : fdatasync(fd)) < 0) fail("sync", 0);
		}
		if (fstat(fd, &status) < 0 || (size_t)status.st_size != size) fail("fstat", status.st_size);
	}
	reopen(O_RDONLY);
	if (pread(fd, piece, MOST, 0) != (ssize_t)size) fail("last read", 0);
	compare(piece, 0, size, "last read");
	close(fd);
	if (unlink(path) < 0) fail("unlink", 0);
	printf("FSX-OK %s %s %ld\n", argv[2], with_mmap ? "mmap" : "plain", count);
	return 0;
}
