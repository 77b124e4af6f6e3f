/* logger.h - the logger role: reads the instances' FIFOs that the keeper hands it (agent/keeper_proto.h, l_verb) and writes their
 * log files (agent/logfile.h) below <state>/log.
 *
 * What is read is first copied out of the pipe (tee), written, and only then taken from it: a logger killed at any moment loses
 * nothing (it may leave a piece twice). Ends when the keeper closes its socket, after taking what the pipes hold. */
#pragma once
int logger_main(const char *state_dir);
