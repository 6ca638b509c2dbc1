/** The four services and their sagas. */
@NullMarked
package dev.lockstep.example.pipeline.service;

import org.jspecify.annotations.NullMarked;
