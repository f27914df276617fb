/*
 * posix FOLDER [mmap]: what POSIX says of files, directories, links, owners and locks, as root and as another user. Prints a line
 * for each thing that is not so, and POSIX-OK COUNT or POSIX-FAILED COUNT at the end.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int checks, failures;

static void check(int line, const char *what, int is_so)
{
	checks++;
	if (is_so) return;
	failures++;
	printf("not so: line %d: %s (errno %d, %s)\n", line, what, errno, strerror(errno));
}

#define OK(what) check(__LINE__, #what, (errno = 0, (what)))
#define FAILS(what, number) check(__LINE__, #what " fails with " #number, (errno = 0, (what) == -1 && errno == (number)))

static struct stat status;
static int mode_of(const char *path) { return lstat(path, &status) < 0 ? -1 : (int)status.st_mode; }

static int make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	if (fd < 0) return 0;
	int is_so = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	return close(fd) == 0 && is_so;
}

static int holds(const char *path, const char *text)
{
	char got[100] = { 0 };
	int fd = open(path, O_RDONLY);
	if (fd < 0) return 0;
	ssize_t length = read(fd, got, sizeof got - 1);
	close(fd);
	return length == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

/* Runs something as a user without rights; answers what it answers. */
static int as_user(int (*body)(void))
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		if (setgid(1001) < 0 || setuid(1001) < 0) _exit(100);
		int before = failures;
		body();
		fflush(stdout);
		_exit(failures - before);
	}
	int end;
	waitpid(child, &end, 0);
	return WIFEXITED(end) && WEXITSTATUS(end) == 0;
}

static void opening(void)
{
	int fd;
	OK(make("f", "text"));
	FAILS(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
	FAILS(open("none", O_RDONLY), ENOENT);
	FAILS(open("f/x", O_RDONLY), ENOTDIR);
	FAILS(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open(".", O_WRONLY), EISDIR);
	OK((fd = open("f", O_RDWR | O_TRUNC)) >= 0);
	OK(fstat(fd, &status) == 0 && status.st_size == 0);
	OK(pwrite(fd, "x", 1, 100000) == 1);
	OK(fstat(fd, &status) == 0 && status.st_size == 100001);
	char hole[10];
	OK(pread(fd, hole, 10, 50000) == 10 && hole[5] == 0);
	OK(ftruncate(fd, 3) == 0 && fstat(fd, &status) == 0 && status.st_size == 3);
	FAILS(ftruncate(fd, -1), EINVAL);
	OK(lseek(fd, 0, SEEK_END) == 3);
	close(fd);
	OK((fd = open("f", O_WRONLY | O_APPEND)) >= 0);
	OK(write(fd, "ab", 2) == 2 && write(fd, "cd", 2) == 2);
	OK(fstat(fd, &status) == 0 && status.st_size == 7);
	FAILS(read(fd, hole, 1), EBADF);
	close(fd);
	char name[300];
	memset(name, 'n', sizeof name);
	name[256] = 0;
	FAILS(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
	name[255] = 0;
	OK((fd = open(name, O_CREAT | O_WRONLY, 0644)) >= 0);
	close(fd);
	OK(unlink(name) == 0);
	umask(077);
	OK(make("masked", "") && mode_of("masked") == (S_IFREG | 0600));
	OK(mkdir("masked.d", 0777) == 0 && mode_of("masked.d") == (S_IFDIR | 0700));
	umask(0);
	OK((fd = open("all", O_CREAT | O_WRONLY, 0777)) >= 0 && mode_of("all") == (S_IFREG | 0777));
	close(fd);
	OK((fd = open("none at all", O_CREAT | O_RDWR, 0)) >= 0 && write(fd, "x", 1) == 1);
	close(fd);
	OK(mode_of("none at all") == S_IFREG && holds("none at all", "x"));
	umask(022);
	OK(unlink("masked") == 0 && rmdir("masked.d") == 0 && unlink("all") == 0 && unlink("none at all") == 0 && unlink("f") == 0);
}

static void unlinked(void)
{
	int fd, other;
	OK((fd = open("u", O_CREAT | O_RDWR, 0644)) >= 0);
	OK(write(fd, "before", 6) == 6);
	OK(unlink("u") == 0);
	OK(fstat(fd, &status) == 0 && status.st_nlink == 0 && status.st_size == 6);
	OK(write(fd, "after", 5) == 5 && ftruncate(fd, 8) == 0);
	OK((other = open("u", O_CREAT | O_EXCL | O_RDWR, 0644)) >= 0);
	char got[20] = { 0 };
	OK(pread(fd, got, 20, 0) == 8 && strcmp(got, "beforeaf") == 0);
	OK(fstat(fd, &status) == 0 && status.st_size == 8);
	OK(fchmod(fd, 0600) == 0 && fstat(fd, &status) == 0 && (status.st_mode & 0777) == 0600);
	OK(fstat(other, &status) == 0 && status.st_size == 0 && (status.st_mode & 0777) == 0644);
	OK(fsync(fd) == 0);
	close(fd);
	OK(make("v", "new") && rename("v", "u") == 0);
	OK(fstat(other, &status) == 0 && status.st_size == 0);
	OK(write(other, "old", 3) == 3 && holds("u", "new"));
	close(other);
	OK(unlink("u") == 0);
}

static void links(void)
{
	OK(make("a", "a"));
	OK(link("a", "b") == 0);
	OK(mode_of("b") >= 0 && status.st_nlink == 2);
	ino_t inode = status.st_ino;
	OK(mode_of("a") >= 0 && status.st_ino == inode);
	FAILS(link("a", "b"), EEXIST);
	FAILS(link("none", "c"), ENOENT);
	FAILS(link(".", "c"), EPERM);
	OK(rename("a", "b") == 0 && holds("a", "a") && holds("b", "a"));
	OK(unlink("a") == 0 && mode_of("b") >= 0 && status.st_nlink == 1);
	OK(symlink("b", "s") == 0);
	OK(S_ISLNK(mode_of("s")) && status.st_size == 1);
	OK(holds("s", "a"));
	char target[10] = { 0 };
	OK(readlink("s", target, 10) == 1 && target[0] == 'b');
	FAILS(readlink("b", target, 10), EINVAL);
	FAILS(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
	OK(symlink("loop", "loop") == 0);
	FAILS(open("loop", O_RDONLY), ELOOP);
	FAILS(symlink("x", "s"), EEXIST);
	OK(symlink("/nowhere/at/all", "dangling") == 0);
	FAILS(open("dangling", O_RDONLY), ENOENT);
	OK(rename("s", "t") == 0 && S_ISLNK(mode_of("t")));
	OK(lchown("t", 9, 10) == 0 && mode_of("t") >= 0 && status.st_uid == 9 && status.st_gid == 10);
	OK(stat("t", &status) == 0 && status.st_uid == 0);
	OK(unlink("t") == 0 && unlink("loop") == 0 && unlink("dangling") == 0 && unlink("b") == 0);
}

static void directories(void)
{
	OK(mkdir("d", 0755) == 0);
	FAILS(mkdir("d", 0755), EEXIST);
	FAILS(mkdir("none/d", 0755), ENOENT);
	OK(mkdir("d/e", 0755) == 0 && make("d/f", "f"));
	FAILS(rmdir("d"), ENOTEMPTY);
	FAILS(rmdir("d/f"), ENOTDIR);
	FAILS(unlink("d/e"), EISDIR);
	FAILS(rmdir("d/."), EINVAL);
	FAILS(rename("d", "d/e/g"), EINVAL);
	OK(mkdir("g", 0755) == 0 && mkdir("h", 0755) == 0 && make("h/x", ""));
	FAILS(rename("g", "h"), ENOTEMPTY);
	FAILS(rename("d/f", "g"), EISDIR);
	FAILS(rename("g", "d/f"), ENOTDIR);
	OK(rename("d", "g") == 0 && holds("g/f", "f"));
	FAILS(open("d/f", O_RDONLY), ENOENT);
	OK(rename("g/f", "h/f") == 0 && rename("g/e", "h/e") == 0);
	OK(rmdir("g") == 0);
	int here = open(".", O_RDONLY | O_DIRECTORY);
	OK(chdir("h/e") == 0);
	OK(rename("../../h", "../../i") == 0);
	OK(make("made", "here") && holds("../../i/e/made", "here"));
	char path[4096];
	OK(getcwd(path, sizeof path) != NULL && strstr(path, "/i/e") != NULL);
	OK(fchdir(here) == 0);
	close(here);
	OK(unlink("i/e/made") == 0 && rmdir("i/e") == 0 && unlink("i/f") == 0 && unlink("i/x") == 0 && rmdir("i") == 0);
}

static void listing(void)
{
	char name[300];
	OK(mkdir("l", 0755) == 0);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "l/name-%03d", i);
		make(name, "");
	}
	DIR *open = opendir("l");
	struct dirent *entry;
	int seen = 0, own = 0;
	char places[310][256];
	long tells[310];
	while ((entry = readdir(open))) {
		if (entry->d_name[0] == '.') own++;
		else {
			snprintf(places[seen], 256, "%s", entry->d_name);
			tells[seen++] = telldir(open);
			check(__LINE__, "d_type", entry->d_type == DT_REG);
		}
	}
	OK(own == 2 && seen == 300);
	for (int i = 0; i < 290; i += 37) {
		seekdir(open, tells[i]);
		entry = readdir(open);
		OK(entry && strcmp(entry->d_name, places[i + 1]) == 0);
		snprintf(name, sizeof name, "l/%s", entry->d_name);
		OK(mode_of(name) >= 0 && status.st_ino == entry->d_ino);
	}
	/* As rm does it: names go while the directory is read. */
	rewinddir(open);
	int removed = 0;
	while ((entry = readdir(open))) {
		if (entry->d_name[0] == '.') continue;
		snprintf(name, sizeof name, "l/%s", entry->d_name);
		if (unlink(name) == 0) removed++;
	}
	OK(removed == 300);
	closedir(open);
	OK(rmdir("l") == 0);
}

static int as_other(void)
{
	FAILS(open("private", O_RDONLY), EACCES);
	FAILS(open("readable", O_WRONLY), EACCES);
	OK(holds("readable", "r"));
	FAILS(chmod("readable", 0777), EPERM);
	FAILS(chown("readable", 1001, 1001), EPERM);
	FAILS(unlink("readable"), EACCES);
	FAILS(mkdir("mine", 0755), EACCES);
	FAILS(unlink("sticky/root"), EPERM);
	OK(make("sticky/own", "o") && mode_of("sticky/own") >= 0 && status.st_uid == 1001 && status.st_gid == 1001);
	OK(chmod("sticky/own", 0700) == 0);
	FAILS(chown("sticky/own", 0, -1), EPERM);
	OK(unlink("sticky/own") == 0);
	OK(mkdir("sticky/d", 0755) == 0 && mode_of("sticky/d") >= 0 && status.st_uid == 1001);
	OK(rmdir("sticky/d") == 0);
	FAILS(open("closed/f", O_RDONLY), EACCES);
	FAILS(mknod("sticky/null", S_IFCHR | 0666, makedev(1, 3)), EPERM);
	FAILS(truncate("readable", 0), EACCES);
	FAILS(utimensat(AT_FDCWD, "readable", NULL, 0), EACCES);
	OK(access("readable", R_OK) == 0 && access("readable", W_OK) == -1);
	return 0;
}

static int writes_setuid(void)
{
	int fd = open("setuid", O_WRONLY);
	OK(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
	return 0;
}

static void owners(void)
{
	OK(make("f", "") && chmod("f", 06755) == 0 && mode_of("f") == (S_IFREG | 06755));
	OK(chmod("f", 0400) == 0 && mode_of("f") == (S_IFREG | 0400));
	OK(chown("f", 12, 34) == 0 && mode_of("f") >= 0 && status.st_uid == 12 && status.st_gid == 34);
	OK(chown("f", -1, 56) == 0 && mode_of("f") >= 0 && status.st_uid == 12 && status.st_gid == 56);
	OK(chmod("f", 06755) == 0 && chown("f", 0, 0) == 0 && mode_of("f") == (S_IFREG | 0755));
	struct timespec before = { 0 };
	OK(mode_of("f") >= 0);
	before = status.st_ctim;
	usleep(20000);
	OK(chown("f", 5, 5) == 0 && mode_of("f") >= 0);
	OK(status.st_ctim.tv_sec > before.tv_sec || status.st_ctim.tv_nsec != before.tv_nsec);
	OK(mkdir("sticky", 01777) == 0 && chmod("sticky", 01777) == 0 && mode_of("sticky") == (S_IFDIR | 01777));
	OK(make("sticky/root", "") && make("private", "p") && chmod("private", 0600) == 0 && make("readable", "r"));
	OK(mkdir("closed", 0700) == 0 && make("closed/f", ""));
	OK(chmod(".", 0755) == 0);
	OK(as_user(as_other));
	OK(make("setuid", "s") && chmod("setuid", 04777) == 0 && as_user(writes_setuid));
	OK(mode_of("setuid") == (S_IFREG | 0777));
	OK(mkdir("setgid", 0755) == 0 && chown("setgid", 0, 77) == 0 && chmod("setgid", 02775) == 0);
	OK(make("setgid/f", "") && mode_of("setgid/f") >= 0 && status.st_gid == 77);
	OK(mkdir("setgid/d", 0755) == 0 && (mode_of("setgid/d") & 02000) && status.st_gid == 77);
	OK(unlink("setgid/f") == 0 && rmdir("setgid/d") == 0 && rmdir("setgid") == 0 && unlink("setuid") == 0);
	OK(unlink("sticky/root") == 0 && rmdir("sticky") == 0 && unlink("private") == 0 && unlink("readable") == 0);
	OK(unlink("closed/f") == 0 && rmdir("closed") == 0 && unlink("f") == 0);
}

static void nodes(void)
{
	int fd;
	char got[4] = { 0 };
	OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	OK(S_ISCHR(mode_of("null")) && status.st_rdev == makedev(1, 3));
	OK((fd = open("null", O_WRONLY)) >= 0 && write(fd, "x", 1) == 1);
	close(fd);
	OK(mknod("disk", S_IFBLK | 0600, makedev(259, 70000)) == 0);
	OK(S_ISBLK(mode_of("disk")) && status.st_rdev == makedev(259, 70000));
	OK(mkfifo("pipe", 0644) == 0 && S_ISFIFO(mode_of("pipe")));
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		fd = open("pipe", O_WRONLY);
		_exit(write(fd, "abc", 3) == 3 ? 0 : 1);
	}
	OK((fd = open("pipe", O_RDONLY)) >= 0 && read(fd, got, 3) == 3 && strcmp(got, "abc") == 0);
	close(fd);
	waitpid(child, NULL, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(bind(server, (struct sockaddr *)&address, sizeof address) == 0 && listen(server, 1) == 0);
	OK(S_ISSOCK(mode_of("socket")));
	OK(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
	close(client);
	close(server);
	OK(unlink("null") == 0 && unlink("disk") == 0 && unlink("pipe") == 0 && unlink("socket") == 0);
}

/* Linux's client sets whole seconds, from 1970 on. */
static void times(void)
{
	OK(make("t", ""));
	struct timespec set[2] = { { 1000000000, 0 }, { 1500000000, 0 } };
	OK(utimensat(AT_FDCWD, "t", set, 0) == 0 && mode_of("t") >= 0);
	OK(status.st_atim.tv_sec == 1000000000 && status.st_mtim.tv_sec == 1500000000 && status.st_mtim.tv_nsec == 0);
	struct timespec omit[2] = { { 0, UTIME_OMIT }, { 1600000000, 0 } };
	OK(utimensat(AT_FDCWD, "t", omit, 0) == 0 && mode_of("t") >= 0);
	OK(status.st_atim.tv_sec == 1000000000 && status.st_mtim.tv_sec == 1600000000);
	struct timespec now[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	OK(utimensat(AT_FDCWD, "t", now, 0) == 0 && mode_of("t") >= 0 && status.st_mtim.tv_sec > 1600000000);
	OK(make("later", "") && mode_of("t") >= 0);
	struct timespec first = status.st_mtim;
	OK(mode_of("later") >= 0);
	OK(status.st_mtim.tv_sec > first.tv_sec || (status.st_mtim.tv_sec == first.tv_sec && status.st_mtim.tv_nsec >= first.tv_nsec));
	OK(symlink("t", "link") == 0 && utimensat(AT_FDCWD, "link", set, AT_SYMLINK_NOFOLLOW) == 0);
	OK(mode_of("link") >= 0 && status.st_mtim.tv_sec == 1500000000);
	OK(unlink("link") == 0 && unlink("later") == 0 && unlink("t") == 0);
}

/* Whether another process finds a record or the file locked. */
static int locked_for_others(int whole)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		int fd = open("k", O_RDWR);
		struct flock lock = { .l_type = F_WRLCK, .l_start = 10, .l_len = 10 };
		int refused = whole ? flock(fd, LOCK_EX | LOCK_NB) : fcntl(fd, F_SETLK, &lock);
		struct flock ask = { .l_type = F_WRLCK, .l_start = 10, .l_len = 10 };
		if (!whole && fcntl(fd, F_GETLK, &ask) == 0 && (ask.l_type != F_UNLCK) != (refused < 0)) _exit(2);
		_exit(refused < 0);
	}
	int end;
	waitpid(child, &end, 0);
	return WEXITSTATUS(end);
}

static void locks(void)
{
	int fd;
	OK((fd = open("k", O_CREAT | O_RDWR, 0644)) >= 0);
	struct flock lock = { .l_type = F_WRLCK, .l_start = 0, .l_len = 15 };
	OK(fcntl(fd, F_SETLK, &lock) == 0 && locked_for_others(0) == 1);
	lock.l_type = F_UNLCK;
	OK(fcntl(fd, F_SETLK, &lock) == 0 && locked_for_others(0) == 0);
	OK(flock(fd, LOCK_EX) == 0 && locked_for_others(1) == 1);
	OK(flock(fd, LOCK_UN) == 0 && locked_for_others(1) == 0);
	close(fd);
	OK(unlink("k") == 0);
}

static void maps(int writable)
{
	int fd;
	OK((fd = open("m", O_CREAT | O_RDWR, 0644)) >= 0 && ftruncate(fd, 200000) == 0);
	char *map = mmap(NULL, 200000, PROT_READ, MAP_PRIVATE, fd, 0);
	OK(map != MAP_FAILED && map[150000] == 0);
	munmap(map, 200000);
	map = mmap(NULL, 200000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (writable) {
		OK(map != MAP_FAILED);
		map[150000] = 'm';
		OK(msync(map, 200000, MS_SYNC) == 0);
		char got = 0;
		OK(pread(fd, &got, 1, 150000) == 1 && got == 'm');
		map[7] = 'n';
		munmap(map, 200000);
		close(fd);
		OK((fd = open("m", O_RDONLY)) >= 0 && pread(fd, &got, 1, 7) == 1 && got == 'n');
	}
	close(fd);
	OK(unlink("m") == 0);
}

static void others(const char *self)
{
	struct statfs room;
	OK(statfs(".", &room) == 0 && room.f_type == 0x01021997 && room.f_blocks >= room.f_bfree && room.f_namelen == 255);
	char value[10];
	OK(make("x", ""));
	FAILS(getxattr("x", "user.none", value, 10), EOPNOTSUPP);
	FAILS(setxattr("x", "user.some", "v", 1, 0), EOPNOTSUPP);
	OK(unlink("x") == 0);
	/* A program is copied here and runs from here. */
	int from = open(self, O_RDONLY), to = open("program", O_CREAT | O_WRONLY, 0755);
	static char buffer[65536];
	ssize_t length;
	while ((length = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, length) != length) break;
	OK(length == 0);
	close(from);
	close(to);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		execl("./program", "program", (char *)NULL);
		_exit(1);
	}
	int end;
	waitpid(child, &end, 0);
	OK(WIFEXITED(end) && WEXITSTATUS(end) == 2);
	OK(unlink("program") == 0);
	/* Deep directories. */
	int here = open(".", O_RDONLY | O_DIRECTORY), depth = 0;
	while (depth < 60 && mkdir("deep-directory", 0755) == 0 && chdir("deep-directory") == 0) depth++;
	OK(depth == 60 && make("bottom", "b") && unlink("bottom") == 0);
	while (depth-- > 0 && chdir("..") == 0) rmdir("deep-directory");
	OK(fchdir(here) == 0);
	close(here);
}

int main(int argc, char **argv)
{
	if (argc < 2) return 2;
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	if (mkdir(argv[1], 0755) < 0 || chdir(argv[1]) < 0) {
		perror(argv[1]);
		return 1;
	}
	opening();
	unlinked();
	links();
	directories();
	listing();
	owners();
	nodes();
	times();
	locks();
	maps(argc > 2);
	others("/proc/self/exe");
	OK(chdir("/") == 0 && rmdir(argv[1]) == 0);
	printf(failures ? "POSIX-FAILED %d of %d\n" : "POSIX-OK %d\n", failures ? failures : checks, checks);
	return failures != 0;
}
