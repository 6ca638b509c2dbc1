/** Folds that run beside the host: read replicas and twins. Not for use by applications. */
@NullMarked
package dev.lockstep.kernel.internal.follow;

import org.jspecify.annotations.NullMarked;
