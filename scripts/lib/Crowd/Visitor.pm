package Crowd::Visitor;

# One visitor: joins, polls when the page would, claims when called, holds a
# random free seat, leaves, also when told in line that all is sold.  What fails is tried again, as the page does, until
# the visitor's patience with a silent server ends.

use strict;
use warnings;

use JSON::PP ();
use MIME::Base64 qw(decode_base64url);
use Ticket::Http::Jar;
use Time::HiRes qw(time);

use constant {
    LIST_AGE   => 2,    # seconds the crowd shares one list of seats
    LIST_WAIT  => 0.05,
    FIRST_WAIT => 1,    # after a failure; doubled up to the last
    LAST_WAIT  => 15,
    POLL_MS    => 5000,
};

my $json = JSON::PP->new->utf8->canonical;

# crowd: loop, tally, hall (shared list of seats), option, and done (a callback).
sub new {
    my ($class, $crowd, $key) = @_;
    return bless {
        crowd => $crowd, key => $key, jar => Ticket::Http::Jar->new, connection => {},
        failures => 0, good_at => time, state => 'joining', tried => {},
    }, $class;
}

sub start { $_[0]->_line('POST'); return }

# One request, with further headers if given.  $next gets the answer and when
# the request left, unless it is a failure to be tried again: with the same
# headers, so that a key that goes with it is the same.
sub _ask {
    my ($self, $what, $method, $path, $body, $next, @headers) = @_;
    my %headers = @headers;
    my $cookies = $self->{jar}->header;
    $headers{Cookie} = $cookies if defined $cookies;
    $headers{'Content-Type'} = 'application/json' if defined $body;
    my $sent = time;
    my $content = defined $body ? $json->encode($body) : $method eq 'POST' ? '' : undef;
    $self->{crowd}{loop}->request($self->{connection}, $method, $path, \%headers, $content, sub {
        my ($response) = @_;
        $self->{jar}->take($response);
        if (my $error = _failure($response)) {
            return $self->_again($error, $response, sub { $self->_ask($what, $method, $path, $body, $next, @headers) });
        }
        $self->{crowd}{tally}->took($what, $response->{seconds});
        @{$self}{qw(failures good_at)} = (0, time);
        $next->($response, $sent);
    });
    return;
}

# What to call the failure, undef when the answer is one.
sub _failure {
    my ($response) = @_;
    my $status = $response->{status};
    return $response->{error}     if $status == 0;
    return _refusal($response)    if $status == 429 || $status >= 500;
    return "$status without JSON" if $status != 204 && !$response->{json};
    return;
}

sub _refusal {
    my ($response) = @_;
    my $code = ref $response->{json} eq 'HASH' ? $response->{json}{code} : undef;
    return join ' ', $response->{status}, $code // ();
}

sub _again {
    my ($self, $error, $response, $retry) = @_;
    my $crowd = $self->{crowd};
    $crowd->{tally}->failed($error);
    return $self->_finish('silent') if time - $self->{good_at} > $crowd->{option}{patience};
    my $wait = FIRST_WAIT * 2**($self->{failures} < 10 ? $self->{failures} : 10);
    $wait = LAST_WAIT if $wait > LAST_WAIT;
    $self->{failures}++;
    my $told = $response->{headers}{'retry-after'} // '';
    $wait = $told if $told =~ /^[0-9]{1,4}$/ && $told > $wait;
    $crowd->{loop}->after($wait * (0.75 + rand 0.5), $retry);
    return;
}

# In line

sub _line {
    my ($self, $method) = @_;
    my $what = $method eq 'GET' ? 'poll' : defined $self->{number} ? 'claim' : 'join';
    $self->_ask($what, $method, $self->{crowd}{option}{queue}, undef, sub {
        my ($response, $sent) = @_;
        return $self->_place($response->{json}, $method, $sent) if $response->{status} =~ /^20[01]$/;
        $self->_refused_in_line($response);
    });
    return;
}

# The line knows the visitor no more.  No answer to a token that was kept may
# say so while the line lives, hence this counts; the page would join anew.
sub _refused_in_line {
    my ($self, $response) = @_;
    my $tally = $self->{crowd}{tally};
    $tally->failed(_refusal($response));
    return $self->_finish('refused') if $self->{anew}++;
    $tally->count('lost') if defined delete $self->{number};
    delete $self->{epoch};
    $self->{jar} = Ticket::Http::Jar->new;
    $self->_line('POST');
    return;
}

sub _place {
    my ($self, $answer, $method, $sent) = @_;
    my $tally = $self->{crowd}{tally};
    my $state = $answer->{state} // '';
    $self->_remember_number($answer);
    my $pause = ($answer->{poll_after_ms} // POLL_MS) / 1000;
    $tally->told($self, $state, $sent, time, $pause);
    return $self->_admitted if $state eq 'admitted';
    $self->{state} = 'waiting';
    return $self->_give_back('sold_out') if $state eq 'waiting' && $answer->{sold_out};
    return $self->_line('POST') if $state eq 'called' && $method eq 'GET';
    my $next = $state eq 'called' ? 'POST' : 'GET';
    $self->{crowd}{loop}->after($pause, sub { $self->_line($next) });
    return;
}

# The same token must always yield the same number.
sub _remember_number {
    my ($self, $answer) = @_;
    my ($epoch, $number) = $self->_token;
    $self->{crowd}{tally}->count('renumbered')
        if defined $self->{number} && ($self->{number} != $answer->{number} || $self->{epoch} != $epoch);
    $self->{crowd}{tally}->failed('number differs from the token') if $number != $answer->{number};
    @{$self}{qw(epoch number)} = ($epoch, $answer->{number});
    return;
}

# Epoch and number as the token has them (its layout: core/ticket_token.h);
# the answers do not name the epoch.
sub _token {
    my ($self) = @_;
    my $jar = $self->{jar};
    my ($name) = sort { $b cmp $a } grep { /^(?:__Host-)?ticket-(?:queue|pass)-/ } $jar->names;
    return (0, 0) if !defined $name;
    my $bytes = decode_base64url($jar->get($name));
    return (0, 0) if length $bytes != 48;
    return unpack 'x4 N Q>', $bytes;
}

sub _admitted {
    my ($self) = @_;
    $self->{crowd}{tally}->count('admitted');
    $self->{state} = 'admitted';
    $self->{entered} = time;
    $self->_choose;
    return;
}

# Behind the gate

# Visitors choose from a list that is up to LIST_AGE old, as people do: some of
# the seats on it are gone, and several visitors want the same one.
sub _choose {
    my ($self) = @_;
    my $hall = $self->{crowd}{hall};
    if (time - $hall->{at} < LIST_AGE) {
        return $self->_leave('unseated') if !@{$hall->{free}};
        my $seat = $self->_pick($hall->{free});
        return $self->_hold($seat) if defined $seat;
    }
    elsif (!$hall->{loading}) {
        return $self->_load_seats;
    }
    $self->{crowd}{loop}->after(LIST_WAIT, sub { $self->_choose });
    return;
}

# A seat not tried yet, undef when there is none.  Most are not, so that a
# lucky draw usually spares going through the list.
sub _pick {
    my ($self, $free) = @_;
    my $tried = $self->{tried};
    my $seat = $free->[rand @$free];
    return $seat if !$tried->{$seat};
    my @untried = grep { !$tried->{$_} } @$free;
    return @untried ? $untried[rand @untried] : undef;
}

sub _seats_path {
    my ($self, $what) = @_;
    my $option = $self->{crowd}{option};
    return "$option->{api}/v1/performances/$option->{performance}/$what";
}

sub _load_seats {
    my ($self) = @_;
    my $hall = $self->{crowd}{hall};
    $hall->{loading} = $self->{key};
    $self->_ask('seats', 'GET', $self->_seats_path('seats'), undef, sub {
        my ($response) = @_;
        $hall->{loading} = undef;
        return $self->_refused($response) if $response->{status} != 200;
        $hall->{free} = [map { $_->{seat} } grep { $_->{state} eq 'free' } @{$response->{json}{seats}}];
        $hall->{at} = time;
        $self->_choose;
    });
    return;
}

sub _hold {
    my ($self, $seat) = @_;
    $self->_ask('hold', 'POST', $self->_seats_path('holds'), {seats => [$seat]}, sub {
        my ($response, $sent) = @_;
        my ($status, $answer) = @{$response}{qw(status json)};
        if ($status == 409) {
            $self->{crowd}{tally}->count('conflicts');
            $self->{tried}{$seat} = 1;
            return $self->_choose;
        }
        return $self->_refused($response) if $status != 201;
        my @seats = map { $_->{seat} } @{$answer->{seats}};
        $self->{crowd}{tally}->held($self->{key}, \@seats, $sent, time, $answer->{expires_in_ms} / 1000);
        $self->{state} = 'held';
        $self->_leave;
    }, 'Idempotency-Key' => _new_key());
    return;
}

# An Idempotency-Key that nobody has, nor another crowd.
sub _new_key { return sprintf '"%d-%08x-%08x"', $$, rand 2**32, rand 2**32 }

sub _refused {
    my ($self, $response) = @_;
    $self->{crowd}{tally}->failed(_refusal($response));
    return $self->_leave('refused');
}

# Gives the slot back once the visitor has stayed long enough.
sub _leave {
    my ($self, $outcome) = @_;
    my $option = $self->{crowd}{option};
    my $stay = $self->{entered} + $option->{stay} - time;
    $self->{crowd}{loop}->after($stay > 0 ? $stay : 0, sub { $self->_give_back($outcome // 'left') });
    return;
}

# Gives up the session, or the place in line.
sub _give_back {
    my ($self, $outcome) = @_;
    $self->_ask('leave', 'DELETE', $self->{crowd}{option}{queue}, undef, sub {
        my ($response) = @_;
        $self->{crowd}{tally}->failed(_refusal($response)) if $response->{status} != 204;
        $self->_finish($outcome);
    });
    return;
}

sub _finish {
    my ($self, $outcome) = @_;
    my $hall = $self->{crowd}{hall};
    $hall->{loading} = undef if defined $hall->{loading} && $hall->{loading} eq $self->{key};
    $self->{crowd}{tally}->count($outcome);
    $self->{state} = 'done';
    $self->{crowd}{loop}->hang_up($self->{connection});
    $self->{crowd}{done}->($self);
    return;
}

1;
