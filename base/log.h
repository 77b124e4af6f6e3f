/* log.h - a daemon's own log lines, to standard error: "2026-11-25T01:02:03.004Z musterd: text", or with a
 * `<N>` priority prefix where standard error is the journal. Library code (base, model, net) does not log. */
#pragma once
enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTE = 5, LOG_INFOS = 6, LOG_DEBUGS = 7 };
void log_init(const char *program);                        /* $MUSTER_DEBUG set: debug lines too */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_note(...)  log_line(LOG_NOTE, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFOS, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUGS, __VA_ARGS__)
