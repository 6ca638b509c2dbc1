/** MariaDB servers. */
@NullMarked
package dev.lockstep.testkit.mariadb;

import org.jspecify.annotations.NullMarked;
