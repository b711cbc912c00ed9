package Crowd::Tally;

# What the crowd saw, and the two judgements that must come out as 0, made
# from nothing but the answers:
#
# Overtaken.  When an answer says that a number is called or admitted, every
# lower number of the same epoch that is present must have been called too.
# So a visitor is overtaken when it sends a request later than "slack" seconds
# after such an answer for a higher number arrived, and is told to wait.  The
# slack is what the exchange makes unavoidable: until the next one, a node does
# not know of a call that Redis has made at another's request.  A visitor who
# was silent for longer than the liveness time, and than the last answer asked
# for, has returned, is served next by rule, and is not judged any more.
#
# Double sold.  A hold lives at least from its answer's arrival until its
# request's departure plus the time to live it was given.  When within that time
# another visitor is given one of its seats, the seat was sold twice.

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(max);

our @EXPORT_OK = qw(percentile);

# slack, liveness: in seconds.
sub new {
    my ($class, %option) = @_;
    return bless {
        slack => $option{slack}, liveness => $option{liveness},
        ahead => {},        # epoch → [[time, highest number called], …], both rising
        news => 0,          # seconds until the last to learn of the call did, within the slack
        overtaken => 0, returned => 0, renumbered => 0, lost => 0,
        admitted => 0, left => 0, holds => 0, conflicts => 0, double => 0, unseated => 0, refused => 0, silent => 0,
        live => {},         # seat → [visitor's key, until when it is surely held]
        seats => {}, latency => {}, errors => {},
    }, $class;
}

sub count { $_[0]{$_[1]}++; return }

sub failed { $_[0]{errors}{$_[1]}++; return }

sub errors {
    my ($self) = @_;
    my $sum = 0;
    $sum += $_ for values %{$self->{errors}};
    return $sum;
}

sub took {
    my ($self, $what, $seconds) = @_;
    push @{$self->{latency}{$what}}, $seconds;
    return;
}

# A visitor (a hash that keeps epoch, number and what is judged here) was
# answered: the request left at $sent, the state arrived at $now and asks for
# the next request after $pause seconds.
sub told {
    my ($self, $visitor, $state, $sent, $now, $pause) = @_;
    if (!$visitor->{returned} && defined $visitor->{present_until} && $sent > $visitor->{present_until}) {
        $visitor->{returned} = 1;
        $self->{returned}++;
    }
    $visitor->{present_until} = max($sent + $self->{liveness}, $now + $pause + $self->{slack});
    my ($epoch, $number) = @{$visitor}{qw(epoch number)};
    if ($state eq 'called' || $state eq 'admitted') {
        $self->_ahead($epoch, $number, $now);
    }
    elsif (!$visitor->{returned} && !$visitor->{overtaken}) {
        $self->_judge($visitor, $sent);
    }
    return;
}

sub _ahead {
    my ($self, $epoch, $number, $now) = @_;
    my $records = $self->{ahead}{$epoch} //= [];
    push @$records, [$now, $number] if !@$records || $records->[-1][1] < $number;
    return;
}

sub _judge {
    my ($self, $visitor, $sent) = @_;
    my $since = $self->passed_at($visitor->{epoch}, $visitor->{number}) // return;
    my $late = $sent - $since;
    return if $late <= 0;
    if ($late > $self->{slack}) {
        $visitor->{overtaken} = 1;
        $self->{overtaken}++;
    }
    elsif ($late > $self->{news}) {
        $self->{news} = $late;
    }
    return;
}

# When a number above this one was first seen called; undef when none was.
sub passed_at {
    my ($self, $epoch, $number) = @_;
    my $records = $self->{ahead}{$epoch} or return;
    my ($low, $high) = (0, scalar @$records);
    while ($low < $high) {
        my $middle = int(($low + $high) / 2);
        if   ($records->[$middle][1] > $number) { $high = $middle }
        else                                    { $low = $middle + 1 }
    }
    return $low < @$records ? $records->[$low][0] : undef;
}

# A visitor was given a hold of these seats, asked for at $sent, answered at
# $now, for $seconds.
sub held {
    my ($self, $who, $seats, $sent, $now, $seconds) = @_;
    $self->{holds}++;
    for my $seat (@$seats) {
        my $live = $self->{live}{$seat};
        $self->{double}++ if $live && $live->[0] ne $who && $now < $live->[1];
        $self->{live}{$seat} = [$who, $sent + $seconds];
        $self->{seats}{$seat} = 1;
    }
    return;
}

sub seats { return scalar keys %{$_[0]{seats}} }

# True when a rule was broken.
sub broken {
    my ($self) = @_;
    return $self->{overtaken} || $self->{double} || $self->{renumbered} || $self->{lost};
}

# The value below which the given share of the (sorted) list lies.
sub percentile {
    my ($sorted, $share) = @_;
    return 0 if !@$sorted;
    my $index = int($share * @$sorted);
    return $sorted->[$index > $#$sorted ? $#$sorted : $index];
}

1;
