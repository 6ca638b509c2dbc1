/** Starting, watching and ending a run. */
@NullMarked
package dev.lockstep.example.pipeline.run;

import org.jspecify.annotations.NullMarked;
