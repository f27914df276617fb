/*
 * io FILE read|write seq|rand BLOCK COUNT [PROCESSES [buffered]]: COUNT blocks of a file or disk, one after another or anywhere in it, by
 * each of PROCESSES at a time; past the guest's page cache if not `buffered`. A block holds its own offset every 512 bytes: what is
 * read must. Prints the seconds, and fails where a byte is wrong.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512

static uint64_t seed;

static uint64_t next(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 33;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void fill(unsigned char *block, uint64_t offset, size_t size)
{
	for (size_t at = 0; at < size; at += SECTOR)
		for (int i = 0; i < 8; i++)
			block[at + i] = (offset + at) >> (8 * i);
}

static void check(const unsigned char *block, uint64_t offset, size_t size)
{
	for (size_t at = 0; at < size; at += SECTOR)
		for (int i = 0; i < 8; i++)
			if (block[at + i] != (unsigned char)((offset + at) >> (8 * i))) {
				fprintf(stderr, "io: wrong at %llu\n", (unsigned long long)(offset + at));
				exit(1);
			}
}

static void work(const char *file, int is_write, int is_random, size_t size, uint64_t count, int number, int flags)
{
	unsigned char *block;
	int fd = open(file, (is_write ? O_RDWR : O_RDONLY) | flags);
	if (fd < 0)
		fail(file);
	uint64_t blocks = lseek(fd, 0, SEEK_END) / size;
	if (blocks == 0 || posix_memalign((void **)&block, 65536, size))
		fail("io: memory");
	memset(block, 0, size);
	seed = 88172645463325252u + number;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t offset = (is_random ? next() % blocks : (i + number * count) % blocks) * size;
		if (is_write) {
			fill(block, offset, size);
			if (pwrite(fd, block, size, offset) != (ssize_t)size)
				fail("io: write");
		} else {
			if (pread(fd, block, size, offset) != (ssize_t)size)
				fail("io: read");
			check(block, offset, size);
		}
	}
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	int is_write = strcmp(argv[2], "write") == 0, is_random = strcmp(argv[3], "rand") == 0;
	size_t size = strtoul(argv[4], NULL, 0);
	uint64_t count = strtoull(argv[5], NULL, 0);
	int processes = argc > 6 ? atoi(argv[6]) : 1;
	int flags = argc > 7 ? 0 : O_DIRECT, failed = 0, status;
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (processes == 1)
		work(argv[1], is_write, is_random, size, count, 0, flags);
	else {
		for (int i = 0; i < processes; i++)
			if (fork() == 0) {
				work(argv[1], is_write, is_random, size, count, i, flags);
				exit(0);
			}
		while (wait(&status) > 0)
			failed |= status;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.6f\n", (end.tv_sec - start.tv_sec) + (end.tv_nsec - start.tv_nsec) / 1e9);
	return failed != 0;
}
