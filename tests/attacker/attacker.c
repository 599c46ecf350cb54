/* The attacker: does system calls as it is told, and holds still so that the host can look at it.
 *
 * It decides nothing: which call, which arguments and what is a breach stands in tests/tests/attacks/.
 * C and not Rust, because every line of it is an unsafe call, and because it must be small and static.
 *
 * One case per line on standard input: `NAME CALL ; CALL ...`, a call is a number or a word and its
 * arguments. Arguments: an integer; "TEXT (with %XX for blanks); #HEX bytes; @N zeroes; ?N a buffer whose
 * contents are told, as much as the result says; !N one that is told whole; %K the result of call K;
 * $pid, $ppid. The case runs in a child, which stays until the next line; with the argument `alone` the child has
 * mounts and a host name of its own. Answer, one line of JSON:
 *   {"pid":CHILD,"r":[RESULT OR -ERRNO,...],"out":["HEX",...]} or {"pid":CHILD,"died":STATUS} (-1: hung)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS 48
#define ARGS 8
#define HOLD_MS 60000 /* an emulated machine is slow */
#define OUT_MAX (64 << 10)

static long results[CALLS];
static char *outs[CALLS];
static size_t out_lengths[CALLS];
static const char *name;
static int alone;

struct argument {
    long value;
    size_t bytes; /* of the buffer that value points to */
    char told;    /* '?' or '!' */
};

static long nibble(char c) { return isdigit((unsigned char)c) ? c - '0' : (tolower(c) - 'a' + 10); }

/* In place: %XX to a byte. Gives the length. */
static size_t unescape(char *text) {
    char *to = text;
    for (char *from = text; *from; from++) {
        if (*from == '%' && from[1] && from[2]) {
            *to++ = (char)(nibble(from[1]) << 4 | nibble(from[2]));
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

static struct argument argument(char *word) {
    struct argument a = {0, 0, 0};
    switch (*word) {
    case '"':
        a.value = (long)(word + 1);
        a.bytes = unescape(word + 1);
        break;
    case '#': {
        size_t bytes = strlen(word + 1) / 2;
        char *data = calloc(1, bytes + 1);
        for (size_t i = 0; i < bytes; i++)
            data[i] = (char)(nibble(word[1 + 2 * i]) << 4 | nibble(word[2 + 2 * i]));
        a.value = (long)data;
        a.bytes = bytes;
        break;
    }
    case '@':
    case '?':
    case '!':
        a.bytes = strtoul(word + 1, NULL, 0);
        a.value = (long)calloc(1, a.bytes + 1);
        a.told = *word == '@' ? 0 : *word;
        break;
    case '%':
        a.value = results[strtoul(word + 1, NULL, 0) % CALLS];
        break;
    case '$':
        a.value = strcmp(word, "$ppid") == 0 ? getppid() : getpid();
        break;
    default:
        a.value = *word == '-' ? strtol(word, NULL, 0) : (long)strtoul(word, NULL, 0);
    }
    return a;
}

static long answer(long result) { return result < 0 ? -errno : result; }

static long call(long number, struct argument *a) {
    return answer(syscall(number, a[0].value, a[1].value, a[2].value, a[3].value, a[4].value, a[5].value));
}

/* The entry of 32-bit programs: other numbers, another filter path. */
static long int80(struct argument *a) {
#ifdef __x86_64__
    long result = a[0].value;
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(a[1].value), "c"(a[2].value), "d"(a[3].value), "S"(a[4].value)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
#else
    (void)a;
    return -ENOSYS;
#endif
}

/* Numbers from..to that the kernel knows: what does not answer ENOSYS. Bad arguments, harmless. */
static long sweep(struct argument *a) {
    long reached = 0;
    for (long number = a[0].value; number <= a[1].value; number++)
        if (syscall(number, -1L, 1L, -1L, 1L, -1L, 1L) >= 0 || errno != ENOSYS)
            reached++;
    return reached;
}

static socklen_t unix_address(struct sockaddr_un *to, const char *path) {
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    strncpy(to->sun_path, path, sizeof to->sun_path - 1);
    if (*path != '@')
        return sizeof *to;
    to->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

/* unix TYPE PATH: connects ('@NAME' is abstract) and says the case's name. */
static long unix_connect(struct argument *a) {
    struct sockaddr_un to;
    socklen_t length = unix_address(&to, (const char *)a[1].value);
    int fd = socket(AF_UNIX, (int)a[0].value | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, length) < 0)
        return -errno;
    return answer(send(fd, name, strlen(name), MSG_NOSIGNAL));
}

/* unixto TYPE PATH: the same without connecting. */
static long unix_send(struct argument *a) {
    struct sockaddr_un to;
    socklen_t length = unix_address(&to, (const char *)a[1].value);
    int fd = socket(AF_UNIX, (int)a[0].value, 0);
    return answer(sendto(fd, name, strlen(name), MSG_NOSIGNAL, (struct sockaddr *)&to, length));
}

static socklen_t inet_address(struct sockaddr_storage *to, const char *text, int port) {
    memset(to, 0, sizeof *to);
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((unsigned short)port);
        return sizeof *v4;
    }
    inet_pton(AF_INET6, text, &v6->sin6_addr);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((unsigned short)port);
    return sizeof *v6;
}

/* inet TYPE PROTOCOL ADDRESS PORT [FASTOPEN]: says the case's name; waits three seconds at most. */
static long inet(struct argument *a) {
    struct sockaddr_storage to;
    socklen_t length = inet_address(&to, (const char *)a[2].value, (int)a[3].value);
    int type = (int)a[0].value;
    int fd = socket(to.ss_family, type | (a[4].value ? 0 : SOCK_NONBLOCK), (int)a[1].value);
    if (fd < 0)
        return -errno;
    if (type != SOCK_STREAM || a[4].value)
        return answer(sendto(fd, name, strlen(name), a[4].value ? MSG_FASTOPEN : 0, (struct sockaddr *)&to, length));
    if (connect(fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS)
        return -errno;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 3000) != 1)
        return -ETIMEDOUT;
    int failed = 0;
    socklen_t size = sizeof failed;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed)
        return -failed;
    return answer(send(fd, name, strlen(name), MSG_NOSIGNAL));
}

static long child(void) {
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    return answer(pid);
}

/* clone FLAGS, clone3 FLAGS: a child that pauses. */
static long clone_call(struct argument *a, int third) {
    struct {
        unsigned long flags, pidfd, child_tid, parent_tid, exit_signal, rest[6];
    } arguments = {.flags = (unsigned long)a[0].value, .exit_signal = SIGCHLD};
    long pid = third ? syscall(SYS_clone3, &arguments, sizeof arguments)
                     : syscall(SYS_clone, a[0].value | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        for (;;)
            pause();
    return answer(pid);
}

static void *sleeper(void *nothing) {
    pause();
    return nothing;
}

static long threads(struct argument *a) {
    long made = 0;
    pthread_attr_t small;
    pthread_t id;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16 << 10);
    while (made < a[0].value && pthread_create(&id, &small, sleeper, NULL) == 0)
        made++;
    return made;
}

static long bomb(struct argument *a) {
    long made = 0;
    while (made < a[0].value && child() > 0)
        made++;
    return made;
}

/* hog BYTES: takes memory in a child; how much it got before it was ended. */
static long hog(struct argument *a) {
    volatile long *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (; *got < a[0].value; *got += 1 << 20) {
            char *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (more == MAP_FAILED)
                _exit(1);
            for (int at = 0; at < 1 << 20; at += 4096)
                more[at] = 1;
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return *got;
}

/* daemon SECONDS: two forks and a session of its own; its pid. */
static long daemonise(void) {
    int told[2];
    pid_t pid = -1;
    if (pipe(told) < 0)
        return -errno;
    if (fork() == 0) {
        setsid();
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (fork() == 0) {
            setsid();
            for (int number = 1; number < 32; number++)
                signal(number, SIG_IGN);
            pid = getpid();
            if (write(told[1], &pid, sizeof pid) < 0)
                _exit(1);
            for (;;)
                pause();
        }
        wait(NULL);
        _exit(0);
    }
    return read(told[0], &pid, sizeof pid) == sizeof pid ? pid : -1;
}

/* run "LINE: by the shell; its exit code, and what it said. */
static long run(struct argument *a, size_t index) {
    int said[2];
    if (pipe2(said, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(said[1], 1);
        dup2(said[1], 2);
        execl("/bin/sh", "sh", "-c", (char *)a[0].value, NULL);
        _exit(127);
    }
    close(said[1]);
    outs[index] = calloc(1, OUT_MAX);
    size_t length = 0;
    struct pollfd ready = {.fd = said[0], .events = POLLIN};
    /* What it leaves behind may keep the pipe: the exit of the shell ends it. */
    int status = 0, ended = 0;
    while (!ended) {
        ended = waitpid(pid, &status, WNOHANG) == pid;
        while (poll(&ready, 1, ended ? 0 : 20) == 1) {
            ssize_t got = read(said[0], outs[index] + length, OUT_MAX - length);
            if (got <= 0)
                break;
            length += (size_t)got;
        }
        if (!ended && ready.revents & POLLHUP)
            ended = waitpid(pid, &status, 0) == pid;
    }
    close(said[0]);
    out_lengths[index] = length;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* crash: of a child; whether the kernel says that it dumped core. */
static long crash(void) {
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        prctl(PR_SET_DUMPABLE, 1);
        abort();
    }
    waitpid(pid, &status, 0);
    return WCOREDUMP(status) ? 1 : 0;
}

static long execute(char *word, struct argument *a, size_t index) {
    if (isdigit((unsigned char)*word))
        return call(strtol(word, NULL, 0), a);
    if (strcmp(word, "int80") == 0)
        return int80(a);
    if (strcmp(word, "sweep") == 0)
        return sweep(a);
    if (strcmp(word, "unix") == 0)
        return unix_connect(a);
    if (strcmp(word, "unixto") == 0)
        return unix_send(a);
    if (strcmp(word, "inet") == 0)
        return inet(a);
    if (strcmp(word, "clone") == 0 || strcmp(word, "clone3") == 0)
        return clone_call(a, word[5] == '3');
    if (strcmp(word, "child") == 0)
        return child();
    if (strcmp(word, "threads") == 0)
        return threads(a);
    if (strcmp(word, "bomb") == 0)
        return bomb(a);
    if (strcmp(word, "hog") == 0)
        return hog(a);
    if (strcmp(word, "daemon") == 0)
        return daemonise();
    if (strcmp(word, "crash") == 0)
        return crash();
    if (strcmp(word, "run") == 0)
        return run(a, index);
    if (strcmp(word, "repeat") == 0) {
        long made = 0;
        while (made < a[0].value && call(a[1].value, a + 2) >= 0)
            made++;
        return made;
    }
    return -EINVAL;
}

static void perform(char *line, int to) {
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word && count < CALLS; count++) {
        struct argument a[ARGS + 1] = {{0, 0, 0}};
        char *what = word;
        size_t given = 0;
        while ((word = strtok_r(NULL, " ", &rest)) && strcmp(word, ";") != 0)
            if (given < ARGS)
                a[given++] = argument(word);
        word = word ? strtok_r(NULL, " ", &rest) : NULL;
        long result = results[count] = execute(what, a, count);
        for (size_t i = 0; i < given; i++)
            if (a[i].told && result >= 0) {
                size_t full = a[i].told == '!' ? a[i].bytes : (size_t)result;
                out_lengths[count] = full < a[i].bytes ? full : a[i].bytes;
                outs[count] = (char *)a[i].value;
            }
    }
    FILE *out = fdopen(to, "w");
    fputs("\"r\":[", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%ld", i ? "," : "", results[i]);
    fputs("],\"out\":[", out);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ",\"" : "\"", out);
        for (size_t at = 0; at < out_lengths[i]; at++)
            fprintf(out, "%02x", (unsigned char)outs[i][at]);
        fputc('"', out);
    }
    fputs("]}\n", out);
    fflush(out);
}

/* Runs one case in a child and tells what came of it; the child is left standing. */
static pid_t serve(char *line) {
    int told[2];
    if (pipe2(told, O_CLOEXEC) < 0)
        return -1;
    char *calls = strchr(line, ' ');
    if (!calls)
        return -1;
    *calls++ = 0;
    name = line;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        /* Outside: what a case does to mounts and names ends with it. */
        if (alone && (unshare(CLONE_NEWNS | CLONE_NEWUTS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
            _exit(1);
        int to = fcntl(told[1], F_DUPFD_CLOEXEC, 900);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        for (int fd = 3; fd < 900; fd++)
            close(fd);
        perform(calls, to);
        for (;;)
            pause();
    }
    close(told[1]);
    static char buffer[8 * OUT_MAX];
    size_t length = 0;
    struct pollfd ready = {.fd = told[0], .events = POLLIN};
    struct timespec now, begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int hung = 0;
    while (length == 0 || buffer[length - 1] != '\n') {
        clock_gettime(CLOCK_MONOTONIC, &now);
        long left = HOLD_MS - (now.tv_sec - begin.tv_sec) * 1000 - (now.tv_nsec - begin.tv_nsec) / 1000000;
        hung = left <= 0 || poll(&ready, 1, (int)left) != 1;
        ssize_t got = hung ? 0 : read(told[0], buffer + length, sizeof buffer - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    close(told[0]);
    if (length && buffer[length - 1] == '\n') {
        printf("{\"pid\":%d,%.*s", pid, (int)length, buffer);
    } else {
        int status = -1;
        if (!hung)
            waitpid(pid, &status, WNOHANG);
        printf("{\"pid\":%d,\"died\":%d}\n", pid, status);
    }
    fflush(stdout);
    return pid;
}

int main(int count, char **words) {
    alone = count > 1 && strcmp(words[1], "alone") == 0;
    static char line[OUT_MAX];
    pid_t held = 0;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    printf("{\"pid\":%d}\n", getpid());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (held > 0) {
            kill(-held, SIGKILL);
            kill(held, SIGKILL);
            waitpid(held, NULL, 0);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        line[strcspn(line, "\n")] = 0;
        held = 0;
        if (strcmp(line, "end") == 0)
            puts("{}"), fflush(stdout);
        else
            held = serve(line);
    }
    if (held > 0) {
        kill(-held, SIGKILL);
        kill(held, SIGKILL);
    }
    return 0;
}
