/* banned.h - functions that are too easy to misuse do not compile where this is included (after the system's
 * headers). Instead: fixed_copy, fixed_printf, strbuf_*, num_*. The idea is git's. */
#pragma once
#define MUSTER_BANNED(fn) sorry_##fn##_is_a_banned_function
#undef strcpy
#define strcpy(...) MUSTER_BANNED(strcpy)
#undef stpcpy
#define stpcpy(...) MUSTER_BANNED(stpcpy)
#undef strcat
#define strcat(...) MUSTER_BANNED(strcat)
#undef strncpy
#define strncpy(...) MUSTER_BANNED(strncpy)
#undef strncat
#define strncat(...) MUSTER_BANNED(strncat)
#undef sprintf
#define sprintf(...) MUSTER_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) MUSTER_BANNED(vsprintf)
#undef gets
#define gets(...) MUSTER_BANNED(gets)
#undef atoi
#define atoi(...) MUSTER_BANNED(atoi)
#undef strtok
#define strtok(...) MUSTER_BANNED(strtok)
#undef gmtime
#define gmtime(...) MUSTER_BANNED(gmtime)
#undef localtime
#define localtime(...) MUSTER_BANNED(localtime)
