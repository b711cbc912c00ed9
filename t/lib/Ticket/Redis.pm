package Ticket::Redis;

# A private Redis server on a unix socket, and on request on a loopback port,
# as a replica, or as a node of a cluster; and a client that speaks RESP to it:
# commands go out as lists, answers come back as Perl values (nil is undef,
# arrays are references).

use strict;
use warnings;

use parent 'Ticket::Service';
use File::Path qw(remove_tree);
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes ();

# Options: dir (an existing directory; the server keeps its files in it),
# name (default redis), aof (append-only file, default off), tcp (also listen
# on 127.0.0.1, on a free port), replica_of (another of these, with tcp),
# cluster (a node of one, not yet in any), options (further arguments of
# redis-server).
sub new {
    my ($class, %args) = @_;
    my $name = $args{name} // 'redis';
    my $dir  = "$args{dir}/$name";
    my $socket = "$args{dir}/$name.sock";
    my $port = $args{tcp} || $args{cluster} || $args{replica_of} ? free_port() : 0;
    my @more = @{$args{options} // []};
    unshift @more, '--bind', '127.0.0.1' if $port;
    unshift @more, '--replicaof', '127.0.0.1', $args{replica_of}->port, '--repl-diskless-sync-delay', 0
        if $args{replica_of};
    unshift @more, '--cluster-enabled', 'yes', '--cluster-port', free_port() if $args{cluster};
    mkdir $dir or die "mkdir $dir: $!\n";
    my $self = $class->launch(
        name => $name, dir => $dir, socket => $socket, log => "$args{dir}/$name.log", port => $port,
        command => ['redis-server', '--port', $port, '--unixsocket', $socket, '--dir', $dir,
                    '--save', '', '--appendonly', $args{aof} ? 'yes' : 'no',
                    '--daemonize', 'no', @more],
    );
    return $self->_ready;
}

# A port of 127.0.0.1 nobody listens on, outside the range from which the
# kernel takes ports for connections.
sub free_port {
    for (1 .. 200) {
        my $port = 10_240 + int rand 21_000;
        my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port);
        return $port if $probe;
    }
    die "no free port\n";
}

sub _ready {
    my ($self) = @_;
    $self->await(sub { eval { $self->cmd('PING') eq 'PONG' } }, 10, 'answer to PING');
    return $self;
}

sub socket  { return $_[0]{socket} }
sub port    { return $_[0]{port} }
sub address { return "127.0.0.1:$_[0]{port}" }

# Waits until a replica has all its master has.
sub await_sync {
    my ($self) = @_;
    return $self->await(sub { $self->cmd('INFO', 'replication') =~ /master_link_status:up/ }, 20, 'replication');
}

# Sends one command and returns its answer; dies with the server's words when
# that is an error.
sub cmd {
    my ($self, @words) = @_;
    my $answer = $self->pipeline(\@words)->[0];
    die "Redis: $$answer ($words[0])\n" if ref $answer eq 'Ticket::Redis::Error';
    return $answer;
}

# Sends commands (lists) together; errors among the answers are references to
# their text, blessed into Ticket::Redis::Error.
sub pipeline {
    my ($self, @commands) = @_;
    my $answers = eval {
        my $fh = $self->_connection;
        local $SIG{PIPE} = 'IGNORE';
        print {$fh} map { _encode(@$_) } @commands or die "Redis: write: $!\n";
        $fh->flush or die "Redis: write: $!\n";
        [map { _decode($fh) } @commands];
    };
    return $answers if $answers;
    delete $self->{connection};
    die $@;
}

sub _connection {
    my ($self) = @_;
    return $self->{connection} //= IO::Socket::UNIX->new(Peer => $self->{socket})
        // die "Redis: connect $self->{socket}: $!\n";
}

sub _encode {
    my @words = map { my $word = $_; utf8::encode($word) if utf8::is_utf8($word); $word } @_;
    return join '', '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
}

sub _decode {
    my ($fh) = @_;
    my $line = do { local $/ = "\r\n"; <$fh> } // die "Redis: connection closed\n";
    my ($type, $rest) = $line =~ /^([-+:\$*])(.*)\r\n$/s or die "Redis: not RESP: $line\n";
    return $rest if $type eq '+' || $type eq ':';
    return bless \$rest, 'Ticket::Redis::Error' if $type eq '-';
    return if $rest < 0;
    return [map { scalar _decode($fh) } 1 .. $rest] if $type eq '*';
    my $got = read $fh, my $bytes, $rest + 2;
    defined $got && $got == $rest + 2 or die "Redis: connection closed\n";
    return substr $bytes, 0, $rest;
}

# Calls of each command since the start (or CONFIG RESETSTAT).
sub commandstats {
    my ($self) = @_;
    my $info = $self->cmd('INFO', 'commandstats');
    return {$info =~ /^cmdstat_([^:]+):calls=([0-9]+)/mg};
}

# Stops the server if it runs and starts it again; empty => 1 removes its
# data first.
sub restart {
    my ($self, %option) = @_;
    $self->stop;
    if ($option{empty}) {
        remove_tree($self->{dir}, {keep_root => 1, error => \my $errors});
        die "cannot empty $self->{dir}\n" if @$errors;
    }
    return $self->spawn->_ready;
}

sub stop {
    my ($self) = @_;
    delete $self->{connection};
    return $self->SUPER::stop;
}

sub kill9 {
    my ($self) = @_;
    delete $self->{connection};
    return $self->SUPER::kill9;
}

1;
