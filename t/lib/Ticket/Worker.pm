package Ticket::Worker;

# The reservation worker under test, on a unix socket of the test's own.  The
# binary is TICKET_WORKER, or the one in .build.

use strict;
use warnings;

use parent 'Ticket::Service';
use Ticket::Http qw(http);
use Ticket::MariaDB ();
use Ticket::Test ();
use Ticket::Token ();

# Options: dir (an existing directory), db (a Ticket::MariaDB), name (default
# worker), token_keys (a key file; made when not given), config (a hash that
# adds keys to the configuration, or replaces or with undef removes them),
# redis (a hash with the keys of the section [redis]; none without).
sub new {
    my ($class, %args) = @_;
    return $class->prepare(%args)->start;
}

# The same without starting it.
sub prepare {
    my ($class, %args) = @_;
    my ($dir, $db) = @args{qw(dir db)};
    my $name   = $args{name} // 'worker';
    my $binary = $ENV{TICKET_WORKER} // Ticket::Test::root_dir() . '/.build/worker/ticket-worker';
    my $self = $class->create(
        name => $name, log => "$dir/$name.log", conf => "$dir/$name.conf",
        command => [$binary, '-c', "$dir/$name.conf"], binary => $binary, stop_seconds => 12,
        secret => join('', map { sprintf '%02x', rand 256 } 1 .. 32),
    );
    my $keys = $args{token_keys} // $self->write_keys("$dir/$name.keys");
    my %config = (
        listen => "unix:$dir/$name.sock", token_keys => $keys, db_socket => $db->socket,
        db_name => $db->schema, db_user => $db->user, db_password_file => $db->password_file,
        %{$args{config} // {}},
    );
    $self->{listen} = $config{listen};
    Ticket::MariaDB::write_secret($self->{conf}, _lines(%config),
        $args{redis} ? ("[redis]\n", _lines(%{$args{redis}})) : ());
    return $self;
}

sub _lines {
    my (%keys) = @_;
    return map { "$_ = $keys{$_}\n" } grep { defined $keys{$_} } sort keys %keys;
}

# Writes a key file, of the worker's secret if nothing else is given, and
# returns its path.
sub write_keys {
    my ($self, $path, @lines) = @_;
    Ticket::MariaDB::write_secret($path, @lines ? @lines : "1 $self->{secret}\n");
    return $path;
}

# Starts it, also after it was stopped, and waits until it answers.
sub start {
    my ($self) = @_;
    $self->spawn;
    $self->await(sub { eval { http($self->target, GET => '/metrics')->{status} == 200 } },
                 10, 'answer to /metrics');
    return $self;
}

# Checks a configuration with -t: exit status and what it says.
sub check {
    my ($self, $conf) = @_;
    my ($status, undef, $err) = Ticket::Test::run($self->{binary}, '-t', '-c', $conf);
    return ($status, $err);
}

# Where requests go, for Ticket::Http.
sub target { return $_[0]{listen} }

# The headers that nginx would add for a visitor: room, number, and whatever
# Ticket::Token takes.
sub headers {
    my ($self, %args) = @_;
    my $room = $args{room} // 'hall';
    return ('X-Ticket-Room' => $room,
            'X-Ticket-Pass' => Ticket::Token::pass(secret => $self->{secret}, %args, room => $room));
}

# One request of the visitor with that number; body as for Ticket::Http.
sub ask {
    my ($self, $number, $method, $path, $body) = @_;
    return http($self->target, $self->request($number, $method, $path, $body));
}

# The same as a request to be sent by Ticket::Http.  A POST has a new
# Idempotency-Key, or the one that is given.
sub request {
    my ($self, $number, $method, $path, $body, $key) = @_;
    $key //= new_key() if $method eq 'POST';
    return [$method, $path, [$self->headers(number => $number), 'Idempotency-Key' => $key], $body];
}

# An Idempotency-Key that nothing else has.
my $keys = 0;
sub new_key { return sprintf '"%d-%d-%08x"', $$, ++$keys, rand 2**32 }

# The value of a metric that has no labels; undef when it is not there.
sub metric {
    my ($self, $name) = @_;
    my ($value) = http($self->target, GET => '/metrics')->{body} =~ /^ticket_worker_$name (\S+)$/m;
    return $value;
}

# A request to hold seats.
sub hold {
    my ($self, $number, @seats) = @_;
    return $self->request($number, POST => '/v1/performances/1/holds', {seats => \@seats});
}

1;
