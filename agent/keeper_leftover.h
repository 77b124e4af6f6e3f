/* keeper_leftover.h - what a keeper that was killed left running: nobody reaps it, reads its output or counts it, and each instance that is
 * wanted would run a second time beside it.
 *
 * Acts: walks /proc, signals. Only with the locks of both folders held, and before anything is started. */
#pragma once

/* Ends every process that carries an instance's marker (MUSTER_ID) and names a path in run_dir: TERM to the main processes, KILL to all 2 s later.
 * Blocks, for 3 s at most. Says in the log what it found. How many there were. */
int keeper_end_leftovers(const char *run_dir);
