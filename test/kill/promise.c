/*
 * promise FOLDER SEED: writes, for ever, files of which it says what must be there whatever happens, each line after the fsync that
 * makes it true. Whoever reads the lines knows a part of them only, so all are of the form "at least":
 *
 *   FILE n v    f<n> is whole, of version v or a later one      (written aside, fsync, rename, fsync of the folder)
 *   GOING n     from here on f<n> may be gone               (before unlink)
 *   GONE n v    f<n> is not of version v or an earlier one      (unlink, fsync of the folder)
 *   LOG n       the first n bytes of `log` are right            (append, fsync)
 *   SECTOR n v  sector n of `blocks` is of version v or a later one (written in place, fdatasync)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define FILES 60
#define MOST 300000
#define SECTOR 512
#define SECTORS 8192

static unsigned char data[MOST];
static uint32_t state;

static uint32_t next(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* The same in contents.ts. */
static uint32_t mix(uint32_t n, uint32_t v)
{
	uint32_t x = (n + 1) * 2654435761u ^ (v + 1) * 2246822519u;
	x ^= x >> 15;
	x *= 3266489917u;
	return x ^ x >> 13;
}

static uint32_t put_file(uint32_t n, uint32_t v)
{
	uint32_t seed = mix(n, v), size = 12 + seed % (MOST - 12);
	for (int i = 0; i < 4; i++) {
		data[i] = n >> 8 * i;
		data[4 + i] = v >> 8 * i;
		data[8 + i] = size >> 8 * i;
	}
	for (uint32_t i = 12; i < size; i++)
		data[i] = (seed >> (i & 15)) + i * 7;
	return size;
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	printf("FAILED %s\n", what);
	fflush(stdout);
	exit(1);
}

static uint32_t version_of(const char *name)
{
	unsigned char head[12];
	int fd = open(name, O_RDONLY);
	if (fd < 0)
		return 0;
	must(read(fd, head, 12) == 12, "an earlier file is too short");
	close(fd);
	return head[4] | head[5] << 8 | head[6] << 16 | (uint32_t)head[7] << 24;
}

static void write_all(int fd, const unsigned char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t count = write(fd, bytes + done, size - done);
		must(count > 0, "write");
		done += count;
	}
}

int main(int argc, char **argv)
{
	char name[32], aside[32];
	uint32_t version, logged;
	must(argc == 3 && chdir(argv[1]) == 0, "the folder");
	state = strtoul(argv[2], NULL, 0) * 2654435761u | 1;
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	int log = open("log", O_RDWR | O_CREAT | O_APPEND, 0644);
	int blocks = open("blocks", O_RDWR | O_CREAT, 0644);
	must(folder >= 0 && log >= 0 && blocks >= 0, "the files");
	must(ftruncate(blocks, SECTORS * SECTOR) == 0 && fsync(blocks) == 0 && fsync(folder) == 0, "blocks");
	/* Versions only grow: they go on where the last run was, at least. */
	version = 1;
	for (uint32_t n = 0; n < FILES; n++) {
		snprintf(name, sizeof name, "f%u", n);
		uint32_t found = version_of(name);
		version = found >= version ? found + 1 : version;
	}
	version += strtoul(argv[2], NULL, 0) * 100000;
	logged = lseek(log, 0, SEEK_END);
	if (ftruncate(log, logged & ~15u) != 0 || fsync(log) != 0)
		must(0, "log");
	logged &= ~15u;
	printf("PROMISES\n");
	fflush(stdout);
	for (;; version++) {
		uint32_t n = next() % FILES, size;
		snprintf(name, sizeof name, "f%u", n);
		switch (next() % 8) {
		case 0:
			/* Said before anything happens, and out of the house. */
			printf("GOING %u\n", n);
			fflush(stdout);
			tcdrain(1);
			if (unlink(name) != 0)
				break;
			must(fsync(folder) == 0, "fsync of the folder");
			printf("GONE %u %u\n", n, version);
			break;
		case 1:
		case 2:
			size = 16 * (1 + next() % 600);
			for (uint32_t i = 0; i < size; i++)
				data[i] = (logged + i) >> 4 >> 8 * (i & 3);
			write_all(log, data, size);
			logged += size;
			must(fsync(log) == 0, "fsync of the log");
			printf("LOG %u\n", logged);
			break;
		case 3:
		case 4: {
			uint32_t first = next() % SECTORS, count = 1 + next() % 64;
			if (first + count > SECTORS)
				count = SECTORS - first;
			for (uint32_t i = 0; i < count; i++)
				for (uint32_t at = 0; at < SECTOR; at += 4)
					for (int j = 0; j < 4; j++)
						data[i * SECTOR + at + j] = (at == 0 ? first + i : version) >> 8 * j;
			must(pwrite(blocks, data, count * SECTOR, first * SECTOR) == (ssize_t)(count * SECTOR), "pwrite");
			must(fdatasync(blocks) == 0, "fdatasync");
			for (uint32_t i = 0; i < count; i++)
				printf("SECTOR %u %u\n", first + i, version);
			break;
		}
		default: {
			size = put_file(n, version);
			snprintf(aside, sizeof aside, "new%u", n);
			int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC, 0644);
			must(fd >= 0, "open");
			write_all(fd, data, size);
			must(fsync(fd) == 0 && close(fd) == 0, "fsync of a file");
			must(rename(aside, name) == 0 && fsync(folder) == 0, "rename");
			printf("FILE %u %u\n", n, version);
		}
		}
		fflush(stdout);
	}
}
