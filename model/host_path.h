/* host_path.h - does a path on this machine hold what a key says it does? Reads folders, modes and first bytes; starts nothing. */
#pragma once
#include "base/err.h"
#include "model/host_account.h"

/* Each: 0, or -EINVAL with a phrase that names the path, the cause and what was expected. */
int host_path_folder(const struct host_account *a, const char *path, struct err *e);
int host_path_readable(const char *path, struct err *e);                /* by ourselves: a file, no folder */
int host_path_pem(const char *path, struct err *e);                     /* and holds a certificate and a key */
/* A program as exec would find it: with a slash from `folder` on, else along search_path. */
int host_path_program(const struct host_account *a, const char *program, const char *folder, const char *search_path, struct err *e);
