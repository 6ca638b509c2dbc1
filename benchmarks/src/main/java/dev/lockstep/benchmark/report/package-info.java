/** What a benchmark writes: table, JSON, chart. */
@NullMarked
package dev.lockstep.benchmark.report;

import org.jspecify.annotations.NullMarked;
